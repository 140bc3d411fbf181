import { createHash } from 'node:crypto';

/** A script with its digest, under which Redis caches it. */
export interface RedisScript {
  readonly text: string;
  readonly digest: string;
}

/** Epochs whose totals are kept. */
const MAX_EPOCHS = 32;

/*
 * Every change is one script, so that it is atomic: none runs between another's reading and writing. All times are Redis'
 * own. The keys of a flag share one hash slot; TOTALS and SERIES are prefixes: of the totals' keys, and of the lists of rollups.
 *
 * All keys of a flag are one dataset, and each contains its identifier: what is left when some of them are lost is of no use,
 * because it would make deltas seem to be duplicates, or count them twice.
 */
const COMMON = `
local STATE, MEMBERS, SEEN, SETTLED, LEADER, DELTAS, TOTALS, CHECKPOINT, CHANNEL, ROLLUPS, SERIES, VIEW, PROCESSES, CANDIDATES =
  unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function field(name, default)
  local value = redis.call('HGET', STATE, name)
  if value then return value end
  return default
end

local function number(name)
  return tonumber(field(name, '0')) or 0
end

-- FleetState of fleet-shapes.ts. The decision and the list stay text: cjson would round numbers, and writes an empty list as {}.
local function state()
  local stop, done = field('stop'), field('done')
  return { datasetId = field('datasetId', ''), version = number('version'),
    epoch = number('epoch'), epochStartedAt = number('epochStartedAt'),
    oldestEpoch = number('oldestEpoch'), revision = field('revision', ''),
    stop = stop and { decision = stop, done = done }, clearedStops = field('clearedStops', '[]'),
    controls = field('controls') }
end

-- Empty where INFO is not allowed.
local function serverInfo(section, name)
  local isAllowed, info = pcall(redis.call, 'INFO', section)
  return isAllowed and string.match(info, name .. ':([^\\r\\n]+)') or ''
end

local function clearedStop(id)
  local cleared = cjson.decode(field('clearedStops', '[]'))
  table.insert(cleared, id)
  while #cleared > 8 do table.remove(cleared, 1) end
  redis.call('HSET', STATE, 'clearedStops', cjson.encode(cleared))
end

local function totalsOf(epoch)
  return TOTALS .. string.format('%d', epoch)
end

local function extendLifetime(retention)
  for _, key in ipairs({ STATE, MEMBERS, SEEN, SETTLED, PROCESSES, DELTAS, CHECKPOINT, totalsOf(number('epoch')) }) do
    redis.call('PEXPIRE', key, retention)
  end
end

-- Of two changes, the later one has the higher version, also when a failover has lost the first.
local function change()
  redis.call('HSET', STATE, 'version', string.format('%d', math.max(number('version') + 1, now)))
end

-- A stop stands ahead of the rest, in a line of its own: every process acts on it before it checks what follows.
local function publish()
  change()
  local current, notice = state(), ''
  local text = cjson.encode(current)
  if current.stop then
    notice = cjson.encode({ datasetId = current.datasetId, version = current.version, id = field('stopId', ''),
      reason = field('stopReason', '') }) .. '\\n'
  end
  redis.call('PUBLISH', CHANNEL, notice .. text)
  return text
end

local function beginTotals(epoch)
  redis.call('DEL', totalsOf(epoch))
  -- With one long value, Redis stores a hash table: in the list that it makes otherwise, each sum searches all others.
  redis.call('HSET', totalsOf(epoch), 'dataset', field('datasetId', ''), 'about',
    'Sums of what all processes recorded of the flag in this epoch; see docs/fleet.md of unleash-rollout-guard')
end

local function announce(epoch, keepWindows)
  local entry = { epoch = epoch, at = number('epochStartedAt'), keepWindows = keepWindows }
  redis.call('XADD', DELTAS, '*', 'epoch', cjson.encode(entry))
end

local function openEpoch(epoch, revision, keepWindows)
  redis.call('HSET', STATE, 'epoch', epoch, 'revision', revision, 'epochStartedAt', now)
  if not keepWindows or not field('oldestEpoch') then redis.call('HSET', STATE, 'oldestEpoch', epoch) end
  local history = cjson.decode(field('history', '[]'))
  table.insert(history, { epoch, revision })
  while #history > ${MAX_EPOCHS} do
    redis.call('DEL', totalsOf(history[1][1]))
    table.remove(history, 1)
  end
  redis.call('HSET', STATE, 'history', cjson.encode(history))
  beginTotals(epoch)
  announce(epoch, keepWindows)
end

local function hasDataset(id)
  if not id or redis.call('HGET', MEMBERS, 'dataset') ~= id then return false end
  if not redis.call('ZSCORE', SEEN, id) or not redis.call('ZSCORE', SETTLED, id) then return false end
  if redis.call('GETRANGE', CHECKPOINT, 0, #id - 1) ~= id then return false end
  local epoch = number('epoch')
  if epoch > 0 and redis.call('HGET', totalsOf(epoch), 'dataset') ~= id then return false end
  -- A stream is trimmed to nothing of its own; a consumer group stays with it. Without one entry it exists too.
  if redis.call('EXISTS', DELTAS) == 0 then return false end
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', DELTAS)) do
    if group[2] == id then return true end
  end
  return false
end

-- What all agree on stays, if it is there; all that was counted is dropped, and the processes send it again.
local function establish(id)
  local before = field('datasetId')
  redis.call('DEL', MEMBERS, SEEN, SETTLED, LEADER, DELTAS, CHECKPOINT)
  redis.call('HSET', STATE, 'datasetId', id)
  redis.call('HSET', MEMBERS, 'dataset', id)
  redis.call('ZADD', SEEN, '+inf', id)
  redis.call('ZADD', SETTLED, '+inf', id)
  redis.call('SET', CHECKPOINT, id)
  redis.call('XGROUP', 'CREATE', DELTAS, id, '$', 'MKSTREAM')
  local epoch, oldest = number('epoch'), number('oldestEpoch')
  if epoch > 0 then
    for _, each in ipairs(cjson.decode(field('history', '[]'))) do
      local totals = totalsOf(each[1])
      if redis.call('HGET', totals, 'dataset') == before then redis.call('HSET', totals, 'dataset', id) end
    end
    beginTotals(epoch)
    announce(oldest, false)
    if epoch > oldest then announce(epoch, true) end
  end
  change()
end
`;

/** A script that knows the keys, the state and the dataset. */
export function script(text: string): RedisScript {
  return bareScript(COMMON + text);
}

/** A script with keys of its own. */
export function bareScript(text: string): RedisScript {
  return { text, digest: createHash('sha1').update(text).digest('hex') };
}
