-- What every script begins with: time, records, windows. Records are one MessagePack value each, as otpd's are one record each: fewer
-- commands and a smaller append-only file than a sorted set per window.
local HOUR, DAY = 3600000, 86400000
local DONE, WRONG_CODE, LIMITED, NOT_OPEN, CONFLICT = 0, 1, 2, 3, 4
local GAPS = {30000, 60000, 120000}
local LIFE, ATTEMPTS, SENDS, GRANT_LIFE, RECORD_LIFE = 300000, 5, 3, 120000, 360000

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function load(key, empty)
  local packed = redis.call('GET', key)
  return packed and cmsgpack.unpack(packed) or empty
end

local function save(key, record, life)
  if life then redis.call('SET', key, cmsgpack.pack(record), 'PX', life)
  else redis.call('SET', key, cmsgpack.pack(record)) end
end

-- Milliseconds until fewer than `limit` of the newest `among` stamps lie inside the window; 0 = passes.
local function retry_after(stamps, among, limit, window)
  if among < limit then return 0 end
  local wait = stamps[#stamps - limit + 1] + window - now
  return wait > 0 and wait or 0
end

-- Exact rolling windows over the sends of a phone or an account.
local function budget(record)
  return math.max(
    retry_after(record.sends, record.unverified, 5, HOUR), retry_after(record.sends, record.unverified, 10, DAY),
    retry_after(record.sends, #record.sends, 20, HOUR), retry_after(record.sends, #record.sends, 50, DAY))
end

local function gap(record)
  if record.unverified == 0 then return 0 end
  return math.max(0, record.sends[#record.sends] + GAPS[math.min(record.unverified, 3)] - now)
end

-- Different names in a day.
local function distinct(seen, name, limit)
  if seen[name] and seen[name] + DAY > now then return 0 end
  local live, oldest = 0, now
  for _, at in pairs(seen) do
    if at + DAY > now then live, oldest = live + 1, math.min(oldest, at) end
  end
  return live >= limit and oldest + DAY - now or 0
end

local function note(seen, name)
  for other, at in pairs(seen) do if at + DAY <= now then seen[other] = nil end end
  seen[name] = now
end

local function debit(record)
  while record.sends[1] and record.sends[1] + DAY <= now do table.remove(record.sends, 1) end
  if #record.sends == 50 then table.remove(record.sends, 1) end
  record.sends[#record.sends + 1] = now
  record.unverified = math.min(record.unverified + 1, #record.sends)
end

local function event(kind, challenge, account, status)
  redis.call('XADD', 'events', '*', 'kind', kind, 'challenge', challenge, 'account', account, 'status', status)
end
