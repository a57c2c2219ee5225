-- Status of a challenge: a lookup.
-- KEYS: challenge; ARGV: session. Answers {status, attempts left, 0}.
local challenge = load(KEYS[1])
if challenge and challenge.target then challenge = load('challenge:' .. challenge.target) end
if not challenge or challenge.session ~= ARGV[1] then return {NOT_OPEN, 255, 0} end
return {DONE, ATTEMPTS - challenge.used, 0}
