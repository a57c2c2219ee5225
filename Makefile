# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
.PHONY: help setup build release demo test run bench gate race stall crash crash-sweep powercut full-disk sanitize crash-states fuzz fuzz-planted soak mutants sim flood hostile bitflips churn courier-kills dead-gateway gateways gunicorn clean
SWIFT ?= swift
SECONDS ?= 60
SEED ?= 1
CYCLES ?= 2000
LOAD_SECONDS ?= 3
REPEATS ?= 1
PEERS ?=
RECORDS ?=
SUSTAINED ?= 0
STATES ?= 500000
VARIANT ?= asan
CHALLENGES ?= 1000
ONLY ?=
GATEWAY ?=
SEEDS ?= 1000
OPERATIONS ?= 1000
HOURS ?= 24
export OTPD_COMMIT := $(shell git describe --always --dirty 2>/dev/null)
CONNECTIONS ?= 5000
COUNT ?= 500
LIVE ?= 100000
FOLDER ?= /tmp
MESSAGES ?= 10000
RATE ?= 1000
DEBUG := .build/debug
RELEASE := .build/release

help:
	@echo "make demo    install what is missing, build, run the main job on real input"
	@echo "             GATEWAY=smpp: the SMS goes through a real SMPP peer, smpp.twisted3 from PyPI"
	@echo "make test    install what is missing, build, run all fast tests"
	@echo "make run     a development server in the foreground (Ctrl-C stops it)"
	@echo "make bench   otpd beside the floor, every figure of the design; bench-results/latest.html (LOAD_SECONDS=3 REPEATS=1 SEED=1)"
	@echo "             PEERS=1: beside Redis 7 and PostgreSQL 15, which it installs; RECORDS=10000,10000000: over stores of these sizes; SUSTAINED=600: seconds at 80 % of the sustained peak"
	@echo "make gate    allocations, system calls and journal bytes per request against the committed bounds, release build"
	@echo "make race    64 clients race the right code on each of 1,000 challenges"
	@echo "make stall   otpd stopped under 2,000 calls of the Swift client that run out of time and 1,000 that are cancelled: 64 acted at most"
	@echo "make crash   kill -9 at random under load, in starts and stops; every acknowledgement must survive (CYCLES=2000 SEED=1)"
	@echo "make crash-sweep  the Nth system call of every kind killed or failed, N until a clean run, in every phase (SEED=1)"
	@echo "make powercut  the power of an ext4 cut under load, for real; root (CYCLES=2000 SEED=1)"
	@echo "make full-disk a disk full to the last block: sends refused, verifies go on; root (SEED=1)"
	@echo "make crash-states  every state a power cut can leave of the store, each started and checked (STATES=500000 SEED=1)"
	@echo "make sanitize  the suite under AddressSanitizer, then under ThreadSanitizer"
	@echo "make fuzz    thirteen targets under libFuzzer and AddressSanitizer, SECONDS over all (SECONDS=60 SEED=1 VARIANT=asan|fast)"
	@echo "make fuzz-planted  each target finds its planted bug, at most SECONDS each (SECONDS=60 SEED=1)"
	@echo "make mutants seeded bugs: each must be caught by a test; prints the table (ONLY=part of a name)"
	@echo "make sim     the whole server simulated under faults, from seeds (SEEDS=1000 SEED=1 OPERATIONS=1000)"
	@echo "make flood   a simulated day of refused requests beside honest log-ins (HOURS=24 SEED=1)"
	@echo "make churn   challenges created and expired; file, commits and tables stay in bounds (CHALLENGES=10000000 LIVE=100000 SEED=1 FOLDER=/tmp)"
	@echo "make soak    the main job from 16 clients, for long; any wrong answer fails (SECONDS=60 SEED=1)"
	@echo "make hostile thousands of hostile connections beside honest ones (SECONDS=60 CONNECTIONS=5000 SEED=1)"
	@echo "make courier-kills  1,000 messages a second through SMPP, courier and core killed each second: none lost, few twice (MESSAGES=10000 RATE=1000)"
	@echo "make dead-gateway  honest latency beside 10,000 messages that a dead gateway doesn't take"
	@echo "make gateways  codes through AWS's SNS (moto), Kannel and two SMSCs, real peers on loopback: receipts, fail-over, drain"
	@echo "make gunicorn  10,000 logins through four pre-forked workers of eight threads while otpd is stopped, restarted, killed (LOGINS=10000 SEED=1)"
	@echo "make bitflips starts on damaged data folders: refused or crashed, never a wrong accept (COUNT=500 SEED=1)"

setup:
	@sh scripts/setup.sh

build: setup
	$(SWIFT) build

release: setup
	$(SWIFT) build -c release

demo: build
	@bash scripts/demo$(if $(GATEWAY),-$(GATEWAY)).sh $(DEBUG)

test: build
	$(SWIFT) test --no-parallel
	python3 -m unittest discover -s clients/python -p 'test_*.py'
	python3 scripts/mutants.py --check
	python3 scripts/production.py $(DEBUG)
	$$(sh scripts/python-venv.sh) scripts/smpp-vectors.py --check
	python3 scripts/vendor-goldens.py --check
	$$(sh scripts/python-venv.sh) scripts/make-alphabet-vectors.py --check
	$$(sh scripts/python-venv.sh) scripts/make-text-data.py --check
	$(DEBUG)/otp-sim states --states 4000 --seed 1
	$(DEBUG)/otp-sim run --seeds 60 --operations 300
	@test "$$($(DEBUG)/otp-sim run --seeds 8 --operations 200 --digest | grep digest)" = \
		"$$($(DEBUG)/otp-sim run --seeds 8 --operations 200 --digest | grep digest)" && echo "the same seeds gave the same bytes twice"
	$(DEBUG)/otp-sim flood --hours 1
	sh scripts/check-release-symbols.sh $(DEBUG)/otpd $(DEBUG)/otpctl $(DEBUG)/otp-courier $(DEBUG)/otp-receipts
	$(DEBUG)/otp-bench race --challenges 50
	$(DEBUG)/otp-bench gate --errands 100
	$(DEBUG)/otp-crash kills --cycles 6 --folder-cycles 3 --harness
	$(DEBUG)/otp-crash sweep --sample 8
	$(DEBUG)/otp-crash sweep --phases init,start --call read --fault interrupted
	$(DEBUG)/otp-crash time
	$(DEBUG)/otp-crash power --cycles 2
	$(DEBUG)/otp-crash full --rounds 1
	$(DEBUG)/otp-bench hostile --seconds 3 --quiet 1 --connections 300 --flood 100 --rate 50
	$(DEBUG)/otp-bench bitflips --count 12
	$(DEBUG)/otp-churn --challenges 5000 --live 500

run: build
	@exec $(DEBUG)/otpd --dev

bench: release
	$(if $(PEERS),sh scripts/setup.sh redis-server postgresql-15)
	$(RELEASE)/otp-bench bench --seconds $(LOAD_SECONDS) --repeats $(REPEATS) --seed $(SEED) $(if $(PEERS),--peers) --sustained $(SUSTAINED) $(if $(RECORDS),--records $(RECORDS))

stall: release
	$(RELEASE)/otp-bench stall

gate: release
	$(RELEASE)/otp-bench gate

race: release
	$(RELEASE)/otp-bench race --challenges $(CHALLENGES) --clients 64 --seed $(SEED)

crash: release
	$(RELEASE)/otp-crash kills --cycles $(CYCLES) --seed $(SEED) --harness

crash-sweep: release
	$(RELEASE)/otp-crash sweep --seed $(SEED)

powercut: release
	$(RELEASE)/otp-crash power --cycles $(CYCLES) --seed $(SEED)

full-disk: release
	$(RELEASE)/otp-crash full --rounds 20 --seed $(SEED)

crash-states: release
	@echo "commit $$(git describe --always --dirty)"
	$(RELEASE)/otp-sim states --states $(STATES) --seed $(SEED)

sanitize: setup
	@git describe --always --dirty
	ASAN_SYMBOLIZER_PATH=$$(dirname $$(readlink -f $$(command -v $(SWIFT))))/llvm-symbolizer \
		LSAN_OPTIONS=suppressions=$(CURDIR)/Tests/lsan.supp:print_suppressions=0 \
		$(SWIFT) test --no-parallel --sanitize=address --scratch-path .build-asan
	$(SWIFT) test --no-parallel --sanitize=thread --scratch-path .build-tsan

fuzz: setup
	VARIANT=$(VARIANT) bash scripts/fuzz.sh $(SECONDS) $(SEED)

fuzz-planted: setup
	bash scripts/fuzz-planted.sh $(SECONDS) $(SEED)

sim: release
	@git rev-parse HEAD
	$(RELEASE)/otp-sim run --seeds $(SEEDS) --seed $(SEED) --operations $(OPERATIONS) --jobs $$(nproc)

flood: release
	@git rev-parse HEAD
	$(RELEASE)/otp-sim flood --hours $(HOURS) --seed $(SEED)

mutants: setup
	python3 scripts/mutants.py --only "$(ONLY)"

soak: release
	$(RELEASE)/otp-bench cycle --clients 16 --seconds $(SECONDS) --seed $(SEED)

hostile: release
	@git rev-parse HEAD
	$(RELEASE)/otp-bench hostile --seconds $(SECONDS) --connections $(CONNECTIONS) --seed $(SEED)

bitflips: release
	@git rev-parse HEAD
	$(RELEASE)/otp-bench bitflips --count $(COUNT) --seed $(SEED)

# 10 million challenges unless told; 100,000 of them are live at any time.
churn: CHALLENGES = 10000000
churn: setup
	$(SWIFT) build -c release --product otp-churn
	$(RELEASE)/otp-churn --challenges $(CHALLENGES) --live $(LIVE) --seed $(SEED) --folder $(FOLDER)

# Messages at 1,000 a second through one SMPP bind with a window of 10: undisturbed, then the courier, the core, or both in turns killed each second.
courier-kills: release
	@python=$$(sh scripts/python-venv.sh); for victim in none courier core both; do \
		python3 scripts/courier-kills.py $(RELEASE) $$python --messages $(MESSAGES) --rate $(RATE) --victim $$victim || exit 1; done

# Latency beside 10,000 messages that a dead gateway doesn't take.
dead-gateway: release
	$(RELEASE)/otp-bench dead-gateway --gateway mute --seed $(SEED)
	$(RELEASE)/otp-bench dead-gateway --gateway refusing --seed $(SEED)

# Kannel and its SMPP side from Debian, SNS from PyPI.
gateways: build
	@sh scripts/setup.sh kannel
	@bash scripts/gateways.sh $(DEBUG)
	@bash scripts/failover.sh $(DEBUG)

# Web workers that share one Python client: no reply may be another's. Then with a client that mixes people up, which must be found.
gunicorn: LOGINS = 10000
gunicorn: build
	@python=$$(sh scripts/python-venv.sh gunicorn) && \
		python3 scripts/gunicorn-check.py $(DEBUG) $$python --logins $(LOGINS) --seed $(SEED) && \
		python3 scripts/gunicorn-check.py $(DEBUG) $$python --logins 300 --seed $(SEED) --planted

clean:
	rm -rf .build .otpd-dev
