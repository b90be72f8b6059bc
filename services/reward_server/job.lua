-- One asynchronous job, from its POST until it is forgotten.
--
-- KEYS: the job (hash: tenant, digest, created, deadline, state, request; owner, token while it runs; response, error),
-- who waits for it (set of reply lists), and of all jobs: queued (sorted set by creation), running (by the end of the
-- lease), bytes (of the requests). An entry of the latter two sets is "id:bytes". Times are Redis' own, in ms.
-- ARGV: what to do, reply list, token, lease_ms, keep_ms, attempts, the job's id, and what the call adds.

local job, waiters, queued, running, bytes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local what, reply_to, token, id = ARGV[1], ARGV[2], ARGV[3], ARGV[7]
local lease_ms, keep_ms, attempts = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local REPLY_TTL_S, WAITERS_TTL_S = 600, 120

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function use(other)
  id = other
  job = 'guerdon:job:' .. id
  waiters = job .. ':waiters'
end

local function get(field)
  return redis.call('HGET', job, field)
end

local function tell(list)
  redis.call('RPUSH', list, '{"job":"' .. id .. '"}')
  redis.call('EXPIRE', list, REPLY_TTL_S)
end

local function forget(entry)
  redis.call('ZREM', queued, entry)
  redis.call('ZREM', running, entry)
  redis.call('DECRBY', bytes, string.match(entry, ':(%d+)$'))
end

-- The one place where a job ends.
local function ends(state, field, value)
  local owner = get('owner')
  redis.call('HSET', job, 'state', state, 'expires', now + keep_ms)
  if field then redis.call('HSET', job, field, value) end
  forget(get('entry'))
  redis.call('HDEL', job, 'request', 'token', 'owner', 'entry')
  redis.call('PEXPIRE', job, keep_ms)
  for _, list in ipairs(redis.call('SMEMBERS', waiters)) do tell(list) end
  redis.call('DEL', waiters)
  if owner then tell(owner) end
end

local function record()
  return redis.call('HMGET', job, 'state', 'created', 'deadline', 'expires', 'response', 'error')
end

local function submit(tenant, digest, request, left_ms, most, most_bytes)
  local known = get('digest')
  if known then return known == digest and {'known', record()} or {'other'} end
  local unfinished = redis.call('ZCARD', queued) + redis.call('ZCARD', running)
  local held = tonumber(redis.call('GET', bytes) or 0)
  if unfinished >= most then return {'full', unfinished .. ' jobs are unfinished already'} end
  if held > 0 and held + #request > most_bytes then return {'full', held .. ' bytes of jobs are unfinished already'} end
  local entry = id .. ':' .. #request
  redis.call('HSET', job, 'tenant', tenant, 'digest', digest, 'request', request, 'state', 'queued', 'entry', entry,
    'created', now, 'deadline', now + left_ms, 'attempts', 0)
  redis.call('PEXPIRE', job, left_ms + keep_ms)  -- should all servers end for good
  redis.call('ZADD', queued, time[1] * 1000 + time[2] / 1000, entry)  -- to the microsecond: first come, first served
  redis.call('INCRBY', bytes, #request)
  return {'new', record()}
end

local function look(tenant, waits)
  if get('tenant') ~= tenant then return {'unknown'} end
  if waits and get('entry') then
    redis.call('SADD', waiters, reply_to)
    redis.call('EXPIRE', waiters, WAITERS_TTL_S)
  end
  return {'known', record()}
end

local function cancel(tenant)
  if get('tenant') ~= tenant then return {'unknown'} end
  if get('entry') then ends('cancelled') end
  return {'known', record()}
end

-- The next job: one whose server has died, else the oldest.
local function claim()
  while true do
    local entry = redis.call('ZRANGEBYSCORE', running, '-inf', now, 'LIMIT', 0, 1)[1]
      or redis.call('ZRANGE', queued, 0, 0)[1]
    if not entry then return {'none'} end
    use(string.match(entry, '^(.*):'))
    if get('entry') ~= entry then
      forget(entry)  -- its record has expired
    elseif redis.call('HINCRBY', job, 'attempts', 1) > attempts then
      ends('failed', 'error', 'the server died ' .. attempts .. ' times while it worked on this')
    else
      redis.call('ZREM', queued, entry)
      redis.call('ZADD', running, now + lease_ms, entry)
      redis.call('HSET', job, 'state', 'running', 'token', token, 'owner', reply_to)
      local left, age = tonumber(get('deadline')) - now, now - tonumber(get('created'))
      return {'yours', id, get('tenant'), get('request'), left, age}
    end
  end
end

local function renew()
  if get('token') ~= token then return {'lost'} end
  redis.call('ZADD', running, now + lease_ms, get('entry'))
  return {'yours'}
end

local function finish(state, field, value)
  if get('token') ~= token then return {'lost'} end
  ends(state, field, value)
  return {'yours'}
end

-- A server that stops in good order gives its jobs back; one that does not serve a job leaves it to others, who look at
-- it when wait_ms have passed, at its deadline at the latest: until then it stands where the jobs of dead servers do.
local function release(wait_ms)
  if get('token') ~= token then return {'lost'} end
  if wait_ms > 0 then
    redis.call('ZADD', running, math.min(now + wait_ms, tonumber(get('deadline'))), get('entry'))
  else
    redis.call('ZREM', running, get('entry'))
    redis.call('ZADD', queued, get('created'), get('entry'))
  end
  redis.call('HSET', job, 'state', 'queued')
  redis.call('HINCRBY', job, 'attempts', -1)
  redis.call('HDEL', job, 'token', 'owner')
  return {'yours'}
end

if what == 'submit' then
  return submit(ARGV[8], ARGV[9], ARGV[10], tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13]))
end
if what == 'look' then return look(ARGV[8], ARGV[9] == '1') end
if what == 'cancel' then return cancel(ARGV[8]) end
if what == 'claim' then return claim() end
if what == 'renew' then return renew() end
if what == 'finish' then return finish(ARGV[8], ARGV[9], ARGV[10]) end
return release(tonumber(ARGV[8]))
