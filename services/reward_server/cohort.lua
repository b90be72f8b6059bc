-- One group whose members arrive in several requests: who has come, who waits, who scores it, and how it ended.
--
-- KEYS: the cohort (hash: size, n, digest<slot>, text<slot>, claim, lease, result), its waiters (sorted set of
-- "reply list|waiter" by deadline). Times are Redis' own, in milliseconds.
-- ARGV: what to do, waiter, token, lease_ms, linger_ms, keep_ms, the cohort's id, and what the call adds.
-- Answers: {"wait"|"score"|"done"|"size"|"gone", taken slots, result or milliseconds left, texts in order}

local cohort, waiters = KEYS[1], KEYS[2]
local what, waiter, token, id = ARGV[1], ARGV[2], ARGV[3], ARGV[7]
local lease_ms, linger_ms, keep_ms = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local REPLY_TTL_S = 600

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function get(field)
  return redis.call('HGET', cohort, field)
end

local function number(field)
  return tonumber(get(field) or 0)
end

local function live_at_least(ms)
  for _, key in ipairs({cohort, waiters}) do
    if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, ms) end
  end
end

-- The one place where a cohort ends: everybody who waits is told, and reads the same result.
local function decide(result, remembered_ms)
  redis.call('HSET', cohort, 'result', result)
  redis.call('HDEL', cohort, 'claim', 'lease')
  for slot = 0, number('size') - 1 do redis.call('HDEL', cohort, 'text' .. slot) end
  local told = {}
  for _, one in ipairs(redis.call('ZRANGE', waiters, 0, -1)) do
    local list = string.match(one, '^(.*)|')
    if not told[list] then
      told[list] = true
      redis.call('RPUSH', list, '{"cohort":"' .. id .. '"}')
      redis.call('EXPIRE', list, REPLY_TTL_S)
    end
  end
  redis.call('DEL', waiters)
  redis.call('PEXPIRE', cohort, remembered_ms)
end

local function deadline()
  return tonumber(redis.call('ZRANGE', waiters, 0, 0, 'WITHSCORES')[2])
end

local function end_if_overdue(by_force)
  local earliest = deadline()
  if get('result') or not earliest or (earliest > now and not by_force) then return end
  local n, size = number('n'), number('size')
  if n < size then
    decide('{"status":"cohort_incomplete","error":"' .. n .. ' of ' .. size ..
      ' members arrived within the deadline"}', linger_ms)
  else
    decide('{"status":"timeout","error":"the group was complete, but not scored before the deadline"}', linger_ms)
  end
end

local function score_or_wait(taken)
  if number('n') < number('size') or number('lease') > now then return {'wait', taken} end
  redis.call('HSET', cohort, 'claim', token, 'lease', now + lease_ms)
  local texts = {}
  for slot = 0, number('size') - 1 do texts[slot + 1] = get('text' .. slot) end
  return {'score', taken, deadline() - now, texts}
end

local function join(left_ms, size)
  end_if_overdue(false)
  local result, known = get('result'), get('size')
  if known and known ~= size then return {'size', {}, known} end
  if not known then redis.call('HSET', cohort, 'size', size, 'n', 0) end
  local taken = {}
  for at = 10, #ARGV, 3 do
    local slot, digest, text = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local other = get('digest' .. slot)
    if other and other ~= digest then
      taken[#taken + 1] = slot
    elseif not other and not result then
      redis.call('HSET', cohort, 'digest' .. slot, digest, 'text' .. slot, text)
      redis.call('HINCRBY', cohort, 'n', 1)
    end
  end
  if result then return {'done', taken, result} end
  if #taken * 3 == #ARGV - 9 then return {'wait', taken} end
  redis.call('ZADD', waiters, now + left_ms, waiter)
  live_at_least(left_ms + linger_ms)
  return score_or_wait(taken)
end

local function look(by_force)
  if get('result') then return {'done', {}, get('result')} end
  if not redis.call('ZSCORE', waiters, waiter) then return {'gone', {}} end
  end_if_overdue(by_force)
  if get('result') then return {'done', {}, get('result')} end
  return score_or_wait({})
end

local function renew()
  if get('claim') ~= token then return {'gone', {}} end
  redis.call('HSET', cohort, 'lease', now + lease_ms)
  return {'wait', {}}
end

local function store(result, scored)
  if get('claim') ~= token then return {'gone', {}} end
  decide(result, scored == '1' and keep_ms or linger_ms)  -- a failure shall not outlast its cause
  return {'done', {}}
end

-- The members stay for a while: whoever left may come back, and the others may still come.
local function leave()
  redis.call('ZREM', waiters, waiter)
  if not get('result') and redis.call('ZCARD', waiters) == 0 then
    redis.call('HDEL', cohort, 'claim', 'lease')
    redis.call('PEXPIRE', cohort, linger_ms)
  end
  return {'gone', {}}
end

if what == 'join' then return join(tonumber(ARGV[8]), ARGV[9]) end
if what == 'look' then return look(ARGV[8] == '1') end
if what == 'renew' then return renew() end
if what == 'store' then return store(ARGV[8], ARGV[9]) end
return leave()
