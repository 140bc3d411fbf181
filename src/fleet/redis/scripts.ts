import { createHash } from 'node:crypto';

/** A script with its digest, under which Redis caches it. */
export interface RedisScript {
  readonly text: string;
  readonly digest: string;
}

/** Deltas that are stored while the fleet has no leader; beyond that, processes keep theirs until there is one. */
const MAX_ENTRIES = 20_000;
/** Epochs whose totals are kept. */
const MAX_EPOCHS = 32;
/** Fields of one epoch's totals, beyond which error types count as `other`. */
const MAX_FIELDS = 2_000;

/*
 * Every change is one script, so that it is atomic: none runs between another's reading and writing. All times are Redis'
 * own. The keys of a flag share one hash slot; KEYS[6] is the prefix of the totals' keys.
 */
const COMMON = `
local STATE, MEMBERS, SEEN, LEADER, DELTAS, TOTALS, CHECKPOINT, CHANNEL = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function field(name, default)
  local value = redis.call('HGET', STATE, name)
  if value then return value end
  return default
end

-- FleetState of fleet-shapes.ts. The decision and the list stay text: cjson would round numbers, and writes an empty list as {}.
local function state()
  local stop, done = field('stop'), field('done')
  return { datasetId = field('datasetId', ''), version = tonumber(field('version', '0')),
    epoch = tonumber(field('epoch', '0')), epochStartedAt = tonumber(field('epochStartedAt', '0')),
    oldestEpoch = tonumber(field('oldestEpoch', '0')), revision = field('revision', ''),
    stop = stop and { decision = stop, done = done }, clearedStops = field('clearedStops', '[]') }
end

-- Empty where INFO is not allowed.
local function serverInfo(name)
  local isAllowed, info = pcall(redis.call, 'INFO', 'server')
  return isAllowed and string.match(info, name .. ':([^\\r\\n]+)') or ''
end

local function extendLifetime(retention)
  for _, key in ipairs({ STATE, MEMBERS, SEEN, DELTAS, CHECKPOINT }) do
    redis.call('PEXPIRE', key, retention)
  end
end

local function publish()
  redis.call('HINCRBY', STATE, 'version', 1)
  local current = cjson.encode(state())
  redis.call('PUBLISH', CHANNEL, current)
  return current
end

local function openEpoch(epoch, revision, keepWindows)
  redis.call('HSET', STATE, 'epoch', epoch, 'revision', revision, 'epochStartedAt', now)
  if not keepWindows or not field('oldestEpoch') then redis.call('HSET', STATE, 'oldestEpoch', epoch) end
  local history = cjson.decode(field('history', '[]'))
  table.insert(history, { epoch, revision })
  while #history > ${MAX_EPOCHS} do
    redis.call('DEL', TOTALS .. string.format('%d', history[1][1]))
    table.remove(history, 1)
  end
  redis.call('HSET', STATE, 'history', cjson.encode(history))
  redis.call('XADD', DELTAS, '*', 'epoch', cjson.encode({ epoch = epoch, at = now, keepWindows = keepWindows }))
end
`;

function script(text: string): RedisScript {
  const whole = COMMON + text;
  return { text: whole, digest: createHash('sha1').update(whole).digest('hex') };
}

/** Reads the server's version, and fails where the keys are of other types. */
export const OPEN = script(`
redis.call('HLEN', STATE)
redis.call('HLEN', MEMBERS)
redis.call('ZCARD', SEEN)
redis.call('GET', LEADER)
redis.call('XLEN', DELTAS)
redis.call('GET', CHECKPOINT)
return serverInfo('redis_version')
`);

/** Once per second for each process: its delta, its epoch, and the leader's lease. */
export const SYNC = script(`
local request, delta = cjson.decode(ARGV[1]), ARGV[2]
local instance, revision, sequence = request.instance, request.revision, request.sequence
local assignedEpoch, minEpoch = request.epoch, request.minEpoch

if redis.call('HSETNX', STATE, 'datasetId', request.newDatasetId) == 1 then redis.call('HSET', STATE, 'version', 1) end
local isKnown = field('datasetId', '') == request.datasetId

if revision ~= '' then
  local epoch, current = tonumber(field('epoch', '0')), field('revision', '')
  if epoch == 0 then
    openEpoch(math.max(1, minEpoch), revision, request.keepWindows)
    publish()
    assignedEpoch = math.max(1, minEpoch)
  elseif revision == current then
    assignedEpoch = epoch
  else
    -- Another process may have reported this definition before: then this one is behind the fleet, not ahead of it.
    local found = nil
    for _, each in ipairs(cjson.decode(field('history', '[]'))) do
      if not found and each[1] > assignedEpoch and each[2] == revision then found = each[1] end
    end
    if found then
      assignedEpoch = found
    elseif assignedEpoch == 0 or not isKnown or request.seenRevision ~= revision then
      assignedEpoch = math.max(epoch + 1, minEpoch)
      openEpoch(assignedEpoch, revision, request.keepWindows)
      publish()
    end
  end
end

local result, last = 'none', tonumber(redis.call('HGET', MEMBERS, instance) or '0')
if sequence > 0 then
  if not isKnown then
    result = 'unknown-data'
  elseif sequence <= last then
    result = 'duplicate'
  elseif sequence > last + 1 and not request.skipsLost then
    result = 'gap'
  elseif redis.call('XLEN', DELTAS) >= ${MAX_ENTRIES} then
    result = 'full'
  else
    result = 'accepted'
    last = sequence
    redis.call('XADD', DELTAS, '*', 'delta', delta)
    redis.call('HSET', MEMBERS, instance, sequence)
    local totals = TOTALS .. string.format('%d', request.deltaEpoch)
    local fields = redis.call('HLEN', totals)
    if fields == 0 then
      -- With one long value, Redis stores a hash table: in the list that it makes otherwise, each sum searches all others.
      redis.call('HSET', totals, 'about',
        'Sums of what all processes recorded of the flag in this epoch; see docs/fleet.md of unleash-rollout-guard')
      fields = 1
    end
    for i = 3, #ARGV, 2 do
      local name = ARGV[i]
      -- Error types are the only fields whose number is not fixed.
      if fields >= ${MAX_FIELDS} and redis.call('HEXISTS', totals, name) == 0 then
        name = string.gsub(name, '^(error:[^:]+:).*', '%1other')
      end
      if string.find(ARGV[i + 1], '[.e]') then
        redis.call('HINCRBYFLOAT', totals, name, ARGV[i + 1])
      elseif redis.call('HINCRBY', totals, name, ARGV[i + 1]) == tonumber(ARGV[i + 1]) then
        fields = fields + 1
      end
    end
    redis.call('PEXPIRE', totals, request.retentionMs)
  end
end

redis.call('ZADD', SEEN, now, instance)
if redis.call('ZCARD', SEEN) > 1 then
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', SEEN, '-inf', now - 86400000, 'LIMIT', 0, 100)) do
    redis.call('ZREM', SEEN, gone)
    redis.call('HDEL', MEMBERS, gone)
  end
end

local leader = redis.call('GET', LEADER) or nil
local fence = leader and string.match(leader, '^' .. string.gsub(instance, '%p', '%%%0') .. ' (%d+)$')
if request.mayLead and not leader then
  fence = redis.call('HINCRBY', STATE, 'fence', 1)
  leader = instance .. ' ' .. string.format('%d', fence)
  redis.call('SET', LEADER, leader, 'PX', request.leaseMs)
elseif fence and request.mayLead then
  redis.call('PEXPIRE', LEADER, request.leaseMs)
elseif fence then
  redis.call('DEL', LEADER)
  leader, fence = nil, nil
end
extendLifetime(request.retentionMs)

local current = state()
if isKnown and current.version == request.version then current = nil end
return cjson.encode({ now = now, delta = result, lastSequence = last, assignedEpoch = assignedEpoch,
  leader = leader and string.match(leader, '^%S+'), fence = tonumber(fence), state = current })
`);

/** What was sent since the leader's last read. */
export const READ = script(`
if redis.call('GET', LEADER) ~= ARGV[1] then return false end
return { serverInfo('run_id'), redis.call('XRANGE', DELTAS, ARGV[2], '+', 'COUNT', ARGV[3]) }
`);

/** The checkpoint of the last leader. */
export const LOAD_CHECKPOINT = script(`return redis.call('GET', CHECKPOINT)`);

/** Saves the leader's checkpoint, and deletes the entries that are in it. */
export const SAVE_CHECKPOINT = script(`
if redis.call('GET', LEADER) ~= ARGV[1] then return 0 end
redis.call('SET', CHECKPOINT, ARGV[3], 'PX', ARGV[4])
redis.call('XTRIM', DELTAS, 'MINID', ARGV[2])
return 1
`);

/** Stops the whole fleet: the first decision counts. */
export const STOP = script(`
local id, decision, newDatasetId = unpack(ARGV)
redis.call('HSETNX', STATE, 'datasetId', newDatasetId)
if field('stop') then return cjson.encode(state()) end
for _, cleared in ipairs(cjson.decode(field('clearedStops', '[]'))) do
  if cleared == id then return cjson.encode(state()) end
end
redis.call('HSET', STATE, 'stop', decision, 'stopId', id)
return publish()
`);

/** Unleash accepted the stop. */
export const FINISH_STOP = script(`
local id, done = unpack(ARGV)
if field('stopId') ~= id or field('done') == done then return cjson.encode(state()) end
redis.call('HSET', STATE, 'done', done)
return publish()
`);

/** An operator turned the flag on: the stop is cleared. */
export const CLEAR_STOP = script(`
local id, revision, minEpoch = ARGV[1], ARGV[2], tonumber(ARGV[3])
if field('stopId') ~= id then return cjson.encode(state()) end
redis.call('HDEL', STATE, 'stop', 'stopId', 'done')
local cleared = cjson.decode(field('clearedStops', '[]'))
table.insert(cleared, id)
while #cleared > 8 do table.remove(cleared, 1) end
redis.call('HSET', STATE, 'clearedStops', cjson.encode(cleared))
openEpoch(math.max(tonumber(field('epoch', '0')) + 1, minEpoch), revision, false)
return publish()
`);
