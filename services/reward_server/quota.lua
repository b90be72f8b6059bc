-- One tenant's limits, for all API processes together: requests and items a minute, and items in flight.
--
-- KEYS: requests, items (each the time at which that bucket is full again), flight (sorted set of work ids by when
-- they are given up), weights (hash: work id -> items; "" -> their sum). Times are Redis' own, in milliseconds.
-- ARGV: "admit", work id, items, requests a minute, items a minute, items in flight (0: no limit), ms to the deadline
--    or "release", work id
-- Answers: {} when it may go on, else {which limit, milliseconds after which to ask again}

local requests, items, flight, weights = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id = ARGV[2]
local MINUTE = 60000

local function give_up(work)
  if redis.call('ZREM', flight, work) == 1 then
    redis.call('HINCRBY', weights, '', -tonumber(redis.call('HGET', weights, work) or 0))
    redis.call('HDEL', weights, work)
  end
end

if ARGV[1] == 'release' then
  give_up(id)
  return {}
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local cost = tonumber(ARGV[3])
local per_minute = {tonumber(ARGV[4]), tonumber(ARGV[5])}
local most, left_ms = tonumber(ARGV[6]), tonumber(ARGV[7])

-- A bucket that fills evenly and holds a minute's worth (GCRA): one number, when it will be full again.
local function full_at(key, a_minute, amount)
  return math.max(tonumber(redis.call('GET', key) or 0), now) + amount * MINUTE / a_minute
end

local full = {}
for at, key in ipairs({requests, items}) do
  if per_minute[at] > 0 then
    full[at] = full_at(key, per_minute[at], at == 1 and 1 or cost)
    local short_ms = full[at] - now - MINUTE
    if short_ms > 0 then return {at == 1 and 'requests_per_minute' or 'items_per_minute', math.ceil(short_ms)} end
  end
end

if most > 0 then
  for _, work in ipairs(redis.call('ZRANGEBYSCORE', flight, '-inf', now)) do give_up(work) end
  if not redis.call('ZSCORE', flight, id) then
    local sum = tonumber(redis.call('HGET', weights, '') or 0)
    if sum + cost > most then return {'max_in_flight', 1000} end
    redis.call('ZADD', flight, now + left_ms, id)
    redis.call('HSET', weights, id, cost)
    redis.call('HINCRBY', weights, '', cost)
    for _, key in ipairs({flight, weights}) do
      if redis.call('PTTL', key) < left_ms then redis.call('PEXPIRE', key, left_ms) end
    end
  end
end

for at, key in ipairs({requests, items}) do
  if full[at] then redis.call('SET', key, string.format('%.3f', full[at]), 'PX', math.ceil(full[at] - now)) end
end
return {}
