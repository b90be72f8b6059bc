-- Accounts of judges and runs, for all replicas together.
--
-- KEYS: for each account its hash (spent, presumed and reserved nanos and tokens; "hold:ID" -> "nanos tokens"), then
--    its leases (sorted set of hold ids by when they end). Times are Redis' own, in milliseconds.
-- ARGV: "take", hold id, nanos, tokens, lease in ms, then per account the limits of nanos and tokens ("": none)
--    or "settle", hold id, nanos, tokens ("": nobody knows, so what was reserved is presumed spent)
--    or "begin", spent nanos, spent tokens, presumed nanos, presumed tokens: unless the account is there
--    or "read"
-- Answers: to take {"taken" | "spent" | "wait" | "unknown", number of the account in the way, from 1};
--    to read the six numbers, {} where the account is unknown.

local WEEK = 7 * 24 * 3600 * 1000 -- an account that is not there is begun again from the ledger
local operation, id = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local FIELDS = {'spent_nanos', 'spent_tokens', 'presumed_nanos', 'presumed_tokens', 'reserved_nanos', 'reserved_tokens'}

local function add(account, what, nanos, tokens)
  redis.call('HINCRBY', account, what .. '_nanos', nanos)
  redis.call('HINCRBY', account, what .. '_tokens', tokens)
end

-- Take a hold off an account; returns its nanos and tokens, or nil where there is none.
local function let_go(account, leases, hold)
  local held = redis.call('HGET', account, 'hold:' .. hold)
  if not held then return nil end
  local nanos, tokens = string.match(held, '(%S+) (%S+)')
  redis.call('HDEL', account, 'hold:' .. hold)
  redis.call('ZREM', leases, hold)
  add(account, 'reserved', '-' .. nanos, '-' .. tokens)
  return nanos, tokens
end

local function presume_overdue(account, leases)
  for _, hold in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now)) do
    local nanos, tokens = let_go(account, leases, hold)
    if nanos then add(account, 'presumed', nanos, tokens) end
  end
end

local function numbers(account)
  local values = redis.call('HMGET', account, unpack(FIELDS))
  for at, value in ipairs(values) do values[at] = tonumber(value or 0) end
  return values
end

if operation == 'begin' then
  if redis.call('EXISTS', KEYS[1]) == 0 then
    add(KEYS[1], 'spent', ARGV[2], ARGV[3])
    add(KEYS[1], 'presumed', ARGV[4], ARGV[5])
    redis.call('PEXPIRE', KEYS[1], WEEK)
  end
  return {}
end

if operation == 'read' then
  if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
  presume_overdue(KEYS[1], KEYS[2])
  return numbers(KEYS[1])
end

if operation == 'settle' then
  for at = 1, #KEYS, 2 do
    local nanos, tokens = let_go(KEYS[at], KEYS[at + 1], id)
    if nanos and ARGV[3] == '' then
      add(KEYS[at], 'presumed', nanos, tokens)
    elseif nanos then
      add(KEYS[at], 'spent', ARGV[3], ARGV[4])
    end
  end
  return {}
end

local more = {tonumber(ARGV[3]), tonumber(ARGV[4])}
local waits = nil
for at = 1, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[at]) == 0 then return {'unknown', (at + 1) / 2} end
end
for at = 1, #KEYS, 2 do
  presume_overdue(KEYS[at], KEYS[at + 1])
  local values = numbers(KEYS[at])
  for unit = 1, 2 do
    local limit = tonumber(ARGV[5 + at + unit - 1])
    local gone = values[unit] + values[unit + 2] + more[unit]
    if limit and gone > limit then return {'spent', (at + 1) / 2} end
    if limit and gone + values[unit + 4] > limit then waits = waits or (at + 1) / 2 end
  end
end
if waits then return {'wait', waits} end
for at = 1, #KEYS, 2 do
  redis.call('HSET', KEYS[at], 'hold:' .. id, ARGV[3] .. ' ' .. ARGV[4])
  redis.call('ZADD', KEYS[at + 1], now + tonumber(ARGV[5]), id)
  add(KEYS[at], 'reserved', ARGV[3], ARGV[4])
  redis.call('PEXPIRE', KEYS[at], WEEK)
  redis.call('PEXPIRE', KEYS[at + 1], WEEK)
end
return {'taken', 1}
