-- A judge's requests and tokens a minute, for all replicas together (GCRA: one number, when all that was booked will
-- have been earned; as Bucket in rate_limit.py). Times are Redis' own, in microseconds.
--
-- KEYS: requests, tokens
-- ARGV: "book" | "refund", requests a minute, tokens a minute (0: no limit), requests, tokens, burst in seconds
-- Answers: microseconds to wait

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local burst = tonumber(ARGV[6]) * 1000000
local wait = 0
for at = 1, 2 do
  local per_minute, amount = tonumber(ARGV[1 + at]), tonumber(ARGV[3 + at])
  if per_minute > 0 and amount ~= 0 then
    local cost = amount * 60000000 / per_minute
    local earned = tonumber(redis.call('GET', KEYS[at]) or 0)
    if ARGV[1] == 'book' then
      local start = math.max(now, earned - burst)
      wait = math.max(wait, start - now)
      earned = math.max(start, earned) + cost
    else
      earned = earned - cost
    end
    local keep_ms = math.ceil((earned - now) / 1000)
    if keep_ms > 0 then
      redis.call('SET', KEYS[at], string.format('%.0f', earned), 'PX', keep_ms)
    else
      redis.call('DEL', KEYS[at])
    end
  end
end
return math.ceil(wait)
