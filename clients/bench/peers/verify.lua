-- Verify: accepted at most once; a wrong guess is written before its answer.
-- KEYS: challenge
-- ARGV: challenge, request id, session, code, grant
-- Answers {status, attempts left, retry after in ms}.
local id, request, session, code, grant = unpack(ARGV)
local challenge = load(KEYS[1])
if not challenge or challenge.state == 'alias' or challenge.session ~= session then return {NOT_OPEN, 255, 0} end

-- A retry of a decided Verify: the same outcome, acted once.
local verdict = challenge.verdicts[request]
if verdict then
  if verdict.code ~= code then return {CONFLICT, 255, 0} end
  return {verdict.status, verdict.left, 0}
end
if challenge.state ~= 'open' or challenge.ends <= now then return {NOT_OPEN, 255, 0} end

local phone_key, account_key = 'phone:' .. challenge.phone, 'account:' .. challenge.account
local streak_key = 'streak:' .. challenge.account .. ':' .. challenge.phone
local slot_key = 'slot:' .. challenge.account .. ':' .. session
local streak = load(streak_key, {total = 0, blocked = 0})
if streak.blocked > now or streak.total >= 100 then return {LIMITED, ATTEMPTS - challenge.used, math.max(0, streak.blocked - now)} end
local phone = load(phone_key, {sends = {}, unverified = 0, accounts = {}, open = {}, verifies = {}})
local wait = retry_after(phone.verifies, #phone.verifies, 10, 60000)
if wait > 0 then return {LIMITED, ATTEMPTS - challenge.used, wait} end
while phone.verifies[1] and phone.verifies[1] + 60000 <= now do table.remove(phone.verifies, 1) end
phone.verifies[#phone.verifies + 1] = now

local function close(state)
  challenge.state = state
  phone.open[id] = nil
  redis.call('DEL', slot_key, 'message:' .. id)
  redis.call('ZREM', 'due', id)
end

if code == challenge.code then
  local account = load(account_key, {sends = {}, unverified = 0, phones = {}})
  account.unverified, phone.unverified = 0, 0
  close('verified')
  challenge.verdicts[request] = {code = code, status = DONE, left = ATTEMPTS - challenge.used}
  save(KEYS[1], challenge, RECORD_LIFE)
  save(phone_key, phone, DAY)
  save(account_key, account)
  if streak.total > 0 then redis.call('DEL', streak_key) end
  redis.call('SET', 'grant:' .. grant, challenge.account .. '|' .. session, 'PX', GRANT_LIFE)
  event('verified', id, challenge.account, '')
  return {DONE, ATTEMPTS - challenge.used, 0}
end

challenge.used = challenge.used + 1
streak.total = streak.total + 1
if streak.total >= 20 and (streak.total - 20) % 5 == 0 then
  streak.blocked = now + 900000 * math.min(4, 2 ^ ((streak.total - 20) / 5))
  event('blocked', id, challenge.account, '')
end
local left = ATTEMPTS - challenge.used
if left == 0 then
  close('exhausted')
  event('exhausted', id, challenge.account, '')
end
challenge.verdicts[request] = {code = code, status = WRONG_CODE, left = left}
save(KEYS[1], challenge, RECORD_LIFE)
save(phone_key, phone, DAY)
save(streak_key, streak)
event('wrong', id, challenge.account, '')
return {WRONG_CODE, left, 0}
