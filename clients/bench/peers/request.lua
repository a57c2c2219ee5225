-- RequestCode: a new challenge, the open one again, or one more message of it.
-- KEYS: challenge (named by its request id), slot of (account, purpose, session), phone, account, streak of (account, phone)
-- ARGV: request id, account, phone, session, code
-- Answers {status, attempts left, retry after in ms}.
local id, account_name, phone_name, session, code = unpack(ARGV)
local digest = account_name .. '|' .. phone_name .. '|' .. session

-- The same request id: the same outcome, or a conflict.
local known = load(KEYS[1])
if known then
  if known.digest ~= digest then return {CONFLICT, 255, 0} end
  return {DONE, ATTEMPTS - known.used, 0}
end

local streak = load(KEYS[5])
if streak and (streak.blocked > now or streak.total >= 100) then
  event('refused', '', account_name, 'blocked')
  return {LIMITED, 255, math.max(0, streak.blocked - now)}
end

local phone = load(KEYS[3], {sends = {}, unverified = 0, accounts = {}, open = {}, verifies = {}})
local account = load(KEYS[4], {sends = {}, unverified = 0, phones = {}})
local former_id = redis.call('GET', KEYS[2])
local former = former_id and load('challenge:' .. former_id)
if former and (former.state ~= 'open' or former.ends <= now) then former = nil end
local same = former and former.phone == phone_name

-- The same key again inside the gap: the first answer, no message, no debit.
if same and (now < former.resend or gap(phone) > 0) then
  save(KEYS[1], {state = 'alias', digest = digest, target = former_id, used = former.used}, RECORD_LIFE)
  return {DONE, ATTEMPTS - former.used, 0}
end

-- All limits first.
local wait = math.max(gap(phone), budget(phone), budget(account), distinct(account.phones, phone_name, 3),
  distinct(phone.accounts, account_name, 5))
if not same then
  local live, soonest = 0, math.huge
  for _, ends in pairs(phone.open) do
    if ends > now then live, soonest = live + 1, math.min(soonest, ends) end
  end
  if live >= 3 then wait = math.max(wait, soonest - now) end
elseif former.sends >= SENDS then
  wait = math.max(wait, former.ends - now)
end
if wait > 0 then
  event('refused', '', account_name, 'limited')
  return {LIMITED, 255, wait}
end

-- All effects after: limits, challenge, outbox and event in one script are one atomic write.
debit(phone)
debit(account)
note(phone.accounts, account_name)
note(account.phones, phone_name)
local message = id
if same then
  former.sends, former.resend = former.sends + 1, now + GAPS[math.min(phone.unverified, 3)]
  message = former_id .. ':' .. former.sends
  save('challenge:' .. former_id, former, RECORD_LIFE)
  save(KEYS[1], {state = 'alias', digest = digest, target = former_id, used = former.used}, RECORD_LIFE)
else
  if former then
    former.state = 'superseded'
    save('challenge:' .. former_id, former, RECORD_LIFE)
    local other = load('phone:' .. former.phone)
    if other then
      other.open[former_id] = nil
      save('phone:' .. former.phone, other, DAY)
    end
    redis.call('DEL', 'message:' .. former_id)
    redis.call('ZREM', 'due', former_id)
    event('superseded', former_id, account_name, '')
  end
  for other, ends in pairs(phone.open) do if ends <= now then phone.open[other] = nil end end
  phone.open[id] = now + LIFE
  save(KEYS[1], {
    state = 'open', digest = digest, account = account_name, phone = phone_name, session = session, code = code, used = 0, sends = 1,
    ends = now + LIFE, resend = now + GAPS[math.min(phone.unverified, 3)], verdicts = {}}, RECORD_LIFE)
  redis.call('SET', KEYS[2], id, 'PX', LIFE)
end
save(KEYS[3], phone, DAY)
save(KEYS[4], account)
redis.call('SET', 'message:' .. message, phone_name .. ' ' .. code, 'PX', LIFE)
redis.call('ZADD', 'due', now, message)
event(same and 'resent' or 'requested', id, account_name, '')
return {DONE, ATTEMPTS, 0}
