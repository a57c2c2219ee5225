// The floor: the least server that speaks our frames durably. It is the yardstick of every table: what no server on this
// machine can be faster than, by much, while its replies wait for the disk.
//
//   floor SOCKET FILE          each turn of epoll: read what came, one pwrite + fdatasync of all writes, then the replies
//   floor SOCKET FILE --echo   the same without the disk: the ceiling of the load generator and of any lookup
//
// It keeps nothing and checks nothing: replies have the right length, opcode and correlation. It has no limits, no crypto, no outbox,
// no courier. Lookups (Status, Ping) leave without a sync, in the same turn.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_FDS = 4096,
    BUFFER = 64 << 10,             // as otpd bounds undecided input and unread output
    FILE_BYTES = 64 << 20,         // preallocated, zero-filled, written round and round
    BLOCK = 512,                   // a record starts on a block, as otpd's
};
enum { HELLO = 0x01, PING = 0x02, REQUEST_CODE = 0x10, VERIFY = 0x12, STATUS = 0x14, LEASE = 0x30, STATS = 0xF0 };

typedef struct {
    uint8_t in[BUFFER], out[BUFFER];
    size_t in_count, out_count;
} Connection;

static Connection *connections[MAX_FDS];
static int dirty[MAX_FDS], dirty_count;     // connections with replies in this turn
static uint8_t *record;                     // the turn's record
static size_t record_count;
static off_t file_end;
static int file, echo_only;
static uint64_t commits, bytes_written;

static void die(const char *what) {
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static uint32_t get32(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }
static void put16(uint8_t *p, uint16_t v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }
static void put32(uint8_t *p, uint32_t v) { put16(p, (uint16_t)(v >> 16)), put16(p + 2, (uint16_t)v); }
static void put64(uint8_t *p, uint64_t v) { put32(p, (uint32_t)(v >> 32)), put32(p + 4, (uint32_t)v); }

static uint64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

// Bytes of the done reply's body after its status: those of PROTOCOL.md, with otpd's issuer of five letters where it has one.
static size_t reply_bytes(uint16_t opcode) {
    switch (opcode) {
    case HELLO: return 28;
    case PING: return 16;
    case REQUEST_CODE: return 37;
    case VERIFY: return 58;
    case STATUS: return 20;
    case LEASE: return 6;
    default: return 0;
    }
}

// Appends the reply of one request.
static void answer(Connection *c, const uint8_t *frame) {
    uint16_t opcode = get16(frame + 4);
    size_t body = reply_bytes(opcode);
    char lines[128];
    if (opcode == STATS) {
        int count = snprintf(lines, sizeof lines, "journal_commits_total %llu\njournal_bytes_total %llu\n",
                             (unsigned long long)commits, (unsigned long long)bytes_written);
        body = 2 + (size_t)count;
    }
    uint8_t *p = c->out + c->out_count;
    memset(p, 0, 14 + body);
    put32(p, (uint32_t)(10 + body));
    put16(p + 4, opcode);
    put16(p + 6, 1);
    memcpy(p + 8, frame + 8, 4);
    uint8_t *b = p + 14;
    if (opcode == HELLO) {
        put16(b, 1), put32(b + 2, 1), put16(b + 6, 0xFF), put64(b + 8, now_ms()), put32(b + 16, 1);
        put32(b + 20, 4096), put16(b + 24, 64), put16(b + 26, 660);
    } else if (opcode == PING) {
        memcpy(b, frame + 12, 8), put64(b + 8, now_ms());
    } else if (opcode == REQUEST_CODE) {
        memcpy(b, frame + 12, 16);  // the request id serves as the challenge's
        b[16] = 1, b[17] = 6, b[18] = 1, b[19] = 5, b[20] = 2;
    } else if (opcode == STATS) {
        put16(b, (uint16_t)(body - 2));
        memcpy(b + 2, lines, body - 2);
    }
    c->out_count += 14 + body;
}

static int is_write(uint16_t opcode) {
    return opcode != HELLO && opcode != PING && opcode != STATUS && opcode != LEASE && opcode != STATS;
}

// Reads once and answers what is whole; returns 0 when the peer is gone.
static int turn_of(int fd) {
    Connection *c = connections[fd];
    ssize_t count = read(fd, c->in + c->in_count, BUFFER - c->in_count);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return 1;
    if (count <= 0) return 0;
    c->in_count += (size_t)count;
    size_t done = 0;
    while (c->in_count - done >= 12) {
        const uint8_t *frame = c->in + done;
        size_t whole = get32(frame) + 4;
        if (whole < 12 || whole > 4096) return 0;
        if (c->in_count - done < whole || c->out_count + 256 > BUFFER) break;
        if (!echo_only && is_write(get16(frame + 4))) {
            memcpy(record + record_count, frame, whole);
            record_count += whole;
        }
        if (c->out_count == 0) dirty[dirty_count++] = fd;
        answer(c, frame);
        done += whole;
    }
    memmove(c->in, c->in + done, c->in_count - done);
    c->in_count -= done;
    return 1;
}

// The turn's one record: whole blocks, one sync.
static void commit(void) {
    if (record_count == 0) return;
    size_t whole = (record_count + BLOCK - 1) / BLOCK * BLOCK;
    memset(record + record_count, 0, whole - record_count);
    if (file_end + (off_t)whole > FILE_BYTES) file_end = 0;
    if (pwrite(file, record, whole, file_end) != (ssize_t)whole) die("pwrite");
    if (fdatasync(file) != 0) die("fdatasync");
    file_end += (off_t)whole;
    record_count = 0;
    commits++;
    bytes_written += whole;
}

static void flush_replies(void) {
    for (int i = 0; i < dirty_count; i++) {
        Connection *c = connections[dirty[i]];
        size_t done = 0;
        while (c && done < c->out_count) {
            ssize_t count = send(dirty[i], c->out + done, c->out_count - done, MSG_NOSIGNAL);
            if (count < 0 && errno == EAGAIN) continue;  // the load generator always reads
            if (count < 0) break;
            done += (size_t)count;
        }
        if (c) c->out_count = 0;
    }
    dirty_count = 0;
}

static void preallocate(const char *path) {
    file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) die(path);
    static uint8_t zeros[1 << 20];
    for (off_t at = 0; at < FILE_BYTES; at += (off_t)sizeof zeros)
        if (pwrite(file, zeros, sizeof zeros, at) != (ssize_t)sizeof zeros) die("pwrite");
    if (fsync(file) != 0) die("fsync");
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: floor SOCKET FILE [--echo]\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    echo_only = argc > 3 && strcmp(argv[3], "--echo") == 0;
    record = malloc((size_t)MAX_FDS * BUFFER);
    if (!record) die("malloc");
    preallocate(argv[2]);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(argv[1]) >= sizeof address.sun_path) return fprintf(stderr, "floor: the socket's path is too long\n"), 2;
    strcpy(address.sun_path, argv[1]);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 511)) die(argv[1]);
    int poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[512];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(poller, events, 512, -1);
        if (count < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                int peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (peer < 0) continue;
                if (peer >= MAX_FDS || !(connections[peer] = calloc(1, sizeof(Connection)))) die("too many connections");
                event = (struct epoll_event){.events = EPOLLIN, .data.fd = peer};
                epoll_ctl(poller, EPOLL_CTL_ADD, peer, &event);
            } else if (!turn_of(fd)) {
                for (int d = 0; d < dirty_count; d++)
                    if (dirty[d] == fd) dirty[d--] = dirty[--dirty_count];
                free(connections[fd]);
                connections[fd] = NULL;
                close(fd);
            }
        }
        commit();
        flush_replies();
    }
}
