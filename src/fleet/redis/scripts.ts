import { createHash } from 'node:crypto';

/** A script with its digest, under which Redis remembers it. */
export interface RedisScript {
  readonly text: string;
  readonly digest: string;
}

/*
 * Every change is one script, so that it happens whole or not at all, and none runs between another's reading and
 * writing. All times are Redis' own. The keys of a flag share one hash slot; KEYS[6] is the beginning of the totals' keys.
 */
const COMMON = `
local STATE, MEMBERS, SEEN, JUDGE, DELTAS, TOTALS, CHECKPOINT =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function field(name, default)
  local value = redis.call('HGET', STATE, name)
  if value then return value end
  return default
end

local function state()
  return { field('datasetId', ''), field('version', '0'), field('epoch', '0'), field('startedAt', '0'),
    field('oldest', '0'), field('revision', ''), field('stop', ''), field('done', ''), field('released', '[]') }
end

local function keep(retention)
  for _, key in ipairs({ STATE, MEMBERS, SEEN, DELTAS, CHECKPOINT }) do
    redis.call('PEXPIRE', key, retention)
  end
end

local function changed(channel)
  redis.call('HINCRBY', STATE, 'version', 1)
  local current = state()
  redis.call('PUBLISH', channel, cjson.encode(current))
  return current
end

local function openEpoch(epoch, revision, keepWindows, mostEpochs)
  redis.call('HSET', STATE, 'epoch', epoch, 'revision', revision, 'startedAt', now)
  if not keepWindows or field('oldest', '0') == '0' then redis.call('HSET', STATE, 'oldest', epoch) end
  local history = cjson.decode(field('history', '[]'))
  table.insert(history, { epoch, revision })
  while #history > mostEpochs do
    redis.call('DEL', TOTALS .. string.format('%d', history[1][1]))
    table.remove(history, 1)
  end
  redis.call('HSET', STATE, 'history', cjson.encode(history))
  redis.call('XADD', DELTAS, '*', 'e', string.format('%d %d %d', epoch, now, keepWindows and 1 or 0))
end
`;

function script(text: string): RedisScript {
  const whole = COMMON + text;
  return { text: whole, digest: createHash('sha1').update(whole).digest('hex') };
}

/** Asks for the version, and fails where the keys are of other types. */
export const OPEN = script(`
local version = ''
local answered, info = pcall(redis.call, 'INFO', 'server')
if answered then version = string.match(info, 'redis_version:([^\\r\\n]+)') or '' end
redis.call('HLEN', STATE)
redis.call('HLEN', MEMBERS)
redis.call('ZCARD', SEEN)
redis.call('GET', JUDGE)
redis.call('XLEN', DELTAS)
redis.call('GET', CHECKPOINT)
return version
`);

/** One process's second: its delta, its place among the epochs, and who judges. */
export const SYNC = script(`
local instance, channel, retention, mostEpochs = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local mostEntries, leaseMs, mostFields = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local datasetId, version, mayLead, newBorn = ARGV[8], ARGV[9], ARGV[10] == '1', ARGV[11]
local assignedEpoch, seenRevision, revision = tonumber(ARGV[12]), ARGV[13], ARGV[14]
local keepWindows, atLeast = ARGV[15] == '1', tonumber(ARGV[16])
local sequence, deltaEpoch, delta, skipsLost = tonumber(ARGV[17]), ARGV[18], ARGV[19], ARGV[20] == '1'

if redis.call('HSETNX', STATE, 'datasetId', newBorn) == 1 then redis.call('HSET', STATE, 'version', 1) end
local isKnown = field('datasetId', '') == datasetId

if revision ~= '' then
  local epoch, current = tonumber(field('epoch', '0')), field('revision', '')
  if epoch == 0 then
    openEpoch(math.max(1, atLeast), revision, keepWindows, mostEpochs)
    changed(channel)
    assignedEpoch = math.max(1, atLeast)
  elseif revision == current then
    assignedEpoch = epoch
  else
    -- Another process may have seen this definition before: then it is behind the fleet, not ahead of it.
    local found = nil
    for _, each in ipairs(cjson.decode(field('history', '[]'))) do
      if not found and each[1] > assignedEpoch and each[2] == revision then found = each[1] end
    end
    if found then
      assignedEpoch = found
    elseif assignedEpoch == 0 or not isKnown or seenRevision ~= revision then
      assignedEpoch = math.max(epoch + 1, atLeast)
      openEpoch(assignedEpoch, revision, keepWindows, mostEpochs)
      changed(channel)
    end
  end
end

local answer, last = 'none', tonumber(redis.call('HGET', MEMBERS, instance) or '0')
if sequence > 0 then
  if not isKnown then
    answer = 'unknown-data'
  elseif sequence <= last then
    answer = 'duplicate'
  elseif sequence > last + 1 and not skipsLost then
    answer = 'gap'
  elseif redis.call('XLEN', DELTAS) >= mostEntries then
    answer = 'full'
  else
    answer = 'taken'
    last = sequence
    redis.call('XADD', DELTAS, '*', 'd', delta)
    redis.call('HSET', MEMBERS, instance, sequence)
    local totals = TOTALS .. deltaEpoch
    local fields = redis.call('HLEN', totals)
    if fields == 0 then
      -- With one long value, Redis keeps them as a table: in the list that it makes otherwise, each sum searches all others.
      redis.call('HSET', totals, 'about',
        'Sums of what all processes recorded of the flag in this epoch; see docs/fleet.md of unleash-rollout-guard')
      fields = 1
    end
    for i = 21, #ARGV, 2 do
      local name = ARGV[i]
      -- Error types are the one thing whose number grows with what happens.
      if fields >= mostFields and redis.call('HEXISTS', totals, name) == 0 then
        name = string.match(name, '^error:[^:]+:') and string.match(name, '^error:[^:]+:') .. 'other' or name
      end
      if string.find(ARGV[i + 1], '[.e]') then
        redis.call('HINCRBYFLOAT', totals, name, ARGV[i + 1])
      elseif redis.call('HINCRBY', totals, name, ARGV[i + 1]) == tonumber(ARGV[i + 1]) then
        fields = fields + 1
      end
    end
    redis.call('PEXPIRE', totals, retention)
  end
end

redis.call('ZADD', SEEN, now, instance)
if redis.call('ZCARD', SEEN) > 1 then
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', SEEN, '-inf', now - 86400000, 'LIMIT', 0, 100)) do
    redis.call('ZREM', SEEN, gone)
    redis.call('HDEL', MEMBERS, gone)
  end
end

local judge = redis.call('GET', JUDGE) or ''
local fence = string.match(judge, '^' .. string.gsub(instance, '%p', '%%%0') .. ' (%d+)$')
if mayLead and judge == '' then
  fence = tostring(redis.call('HINCRBY', STATE, 'fence', 1))
  judge = instance .. ' ' .. fence
  redis.call('SET', JUDGE, judge, 'PX', leaseMs)
elseif fence and mayLead then
  redis.call('PEXPIRE', JUDGE, leaseMs)
elseif fence then
  redis.call('DEL', JUDGE)
  judge, fence = '', nil
end
keep(retention)

local current = state()
if current[1] == datasetId and current[2] == version then current = false end
return { string.format('%d', now), answer, string.format('%d', last), string.format('%d', assignedEpoch), judge, fence or '',
  current }
`);

/** The judge's look at what came since. */
export const READ = script(`
if redis.call('GET', JUDGE) ~= ARGV[1] then return false end
local run = ''
local answered, info = pcall(redis.call, 'INFO', 'server')
if answered then run = string.match(info, 'run_id:([^\\r\\n]+)') or '' end
return { run, redis.call('XRANGE', DELTAS, ARGV[2], '+', 'COUNT', ARGV[3]) }
`);

/** What the judge before knew. */
export const LOAD_CHECKPOINT = script(`return redis.call('GET', CHECKPOINT)`);

/** Keeps what the judge knows, and drops the entries that are in it. */
export const SAVE_CHECKPOINT = script(`
if redis.call('GET', JUDGE) ~= ARGV[1] then return 0 end
redis.call('SET', CHECKPOINT, ARGV[3], 'PX', ARGV[4])
redis.call('XTRIM', DELTAS, 'MINID', ARGV[2])
return 1
`);

/** Stops the whole fleet: the first decision holds. */
export const STOP = script(`
local channel, id, decision, newBorn = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
redis.call('HSETNX', STATE, 'datasetId', newBorn)
if field('stop', '') ~= '' then return state() end
for _, released in ipairs(cjson.decode(field('released', '[]'))) do
  if released == id then return state() end
end
redis.call('HSET', STATE, 'stop', decision, 'stopId', id, 'done', '')
return changed(channel)
`);

/** Unleash took the stop. */
export const FINISH_STOP = script(`
local channel, id, done = ARGV[1], ARGV[2], ARGV[3]
if field('stopId', '') ~= id or field('done', '') == done then return state() end
redis.call('HSET', STATE, 'done', done)
return changed(channel)
`);

/** A person turned the flag on again. */
export const RELEASE = script(`
local channel, id, revision, mostEpochs, atLeast = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
if field('stopId', '') ~= id then return state() end
redis.call('HDEL', STATE, 'stop', 'stopId', 'done')
local released = cjson.decode(field('released', '[]'))
table.insert(released, id)
while #released > 8 do table.remove(released, 1) end
redis.call('HSET', STATE, 'released', cjson.encode(released))
openEpoch(math.max(tonumber(field('epoch', '0')) + 1, atLeast), revision, false, mostEpochs)
return changed(channel)
`);
