import { SERIES } from '../../rollups/book-state.js';
import { MOST_SHARED_EVENTS } from '../shared-rollout.js';
import { script } from './script.js';

/**
 * Deltas that are stored while the fleet has no leader; beyond that, processes keep theirs until there is one. 10,000 processes that
 * all have outcomes need so many until another leader takes over.
 */
const MAX_ENTRIES = 40_000;
/** A process that may lead and was silent for so long does not count as one, in milliseconds. */
const CANDIDATE_MS = 60_000;
/** Fields of one epoch's totals, beyond which error types count as `other`. */
const MAX_FIELDS = 2_000;
/** A longer entry of the stream is none of a guard's: the leader counts it as unreadable without reading it, in bytes. */
const MAX_ENTRY_BYTES = 1_048_576;
/** Follows the channel of changes: where the leader alone listens. */
export const SENT = ':sent';
/** What one read returns, in bytes; the leader continues where it ends. */
const MAX_READ_BYTES = 4_194_304;

/** Reads the server's version and what it does when its memory is full, and fails where the keys are of other types. */
export const OPEN = script(`
redis.call('HLEN', STATE)
redis.call('HLEN', MEMBERS)
redis.call('ZCARD', SEEN)
redis.call('ZCARD', SETTLED)
redis.call('GET', LEADER)
redis.call('XLEN', DELTAS)
redis.call('GET', CHECKPOINT)
return { serverInfo('server', 'redis_version'), serverInfo('memory', 'maxmemory_policy') }
`);

/** Once per second for each process with outcomes: its delta, its epoch, and the leader's lease. */
export const SYNC = script(`
local request, delta = cjson.decode(ARGV[1]), ARGV[2]
local instance, revision, sequence = request.instance, request.revision, request.sequence
local assignedEpoch, minEpoch = request.epoch, request.minEpoch

local isKnown = field('datasetId', '') == request.datasetId
if not hasDataset(field('datasetId')) or (isKnown and request.rebuild) then
  establish(request.newDatasetId)
  isKnown = false
end

-- A failover lost the opening of the epoch with its last writes.
if isKnown and assignedEpoch > number('epoch') then
  openEpoch(assignedEpoch, request.seenRevision, request.oldestEpoch < assignedEpoch)
  publish()
end

if revision ~= '' then
  local epoch, current = number('epoch'), field('revision', '')
  if epoch == 0 then
    assignedEpoch = math.max(1, minEpoch)
    -- All was lost: a stop that was decided before the flag went off still counts.
    if request.oldestEpoch > 0 then
      redis.call('HSET', STATE, 'oldestEpoch', math.min(request.oldestEpoch, assignedEpoch))
    end
    openEpoch(assignedEpoch, revision, request.keepWindows)
    publish()
  elseif revision == current then
    assignedEpoch = epoch
  else
    -- Another process may have reported this definition before: then this one is behind the fleet, not ahead of it.
    local found, isAssigned = nil, false
    for _, each in ipairs(cjson.decode(field('history', '[]'))) do
      if each[1] == assignedEpoch and each[2] == request.seenRevision then isAssigned = true end
      if not found and each[1] > assignedEpoch and each[2] == revision then found = each[1] end
    end
    if found then
      assignedEpoch = found
    elseif not isAssigned or request.seenRevision ~= revision then
      assignedEpoch = math.max(epoch + 1, minEpoch)
      openEpoch(assignedEpoch, revision, request.keepWindows)
      publish()
    end
  end
end

local result, last = 'none', tonumber(redis.call('HGET', MEMBERS, instance) or '0') or 0
if not isKnown then
  if sequence > 0 then result = 'unknown-data' end
elseif request.accepted > last then
  result = 'gap'
elseif sequence > 0 then
  if sequence <= last then
    result = 'duplicate'
  elseif redis.call('XLEN', DELTAS) >= ${MAX_ENTRIES} then
    result = 'full'
  else
    result = 'accepted'
    last = sequence
    redis.call('XADD', DELTAS, '*', 'delta', delta, 'from', instance, 'feeds', request.feeds)
    if redis.call('HDEL', STATE, 'resting') == 1 then redis.call('PUBLISH', CHANNEL .. '${SENT}', '') end
    redis.call('HSET', MEMBERS, instance, sequence)
    local totals = totalsOf(request.deltaEpoch)
    local fields = redis.call('HLEN', totals)
    -- Those of an epoch that is over may have expired: a part of them would seem to be the whole.
    for i = 3, fields > 0 and #ARGV or 0, 2 do
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
if request.isLeaving then redis.call('HDEL', PROCESSES, instance) end
if request.isLeaving or (request.isIdle and isKnown and result ~= 'gap') then
  redis.call('ZREM', SETTLED, instance)
elseif result == 'accepted' or result == 'duplicate' or (isKnown and result == 'none') then
  if request.settledUpTo then redis.call('ZADD', SETTLED, request.settledUpTo, instance) end
else
  -- Until what it has recorded has arrived, nothing is complete.
  redis.call('ZADD', SETTLED, 'NX', 0, instance)
end
-- Of few that may lead, one is to take over at once, however large the fleet is.
local candidates = 0
if request.mayLead then
  redis.call('ZADD', CANDIDATES, now, instance)
  redis.call('ZREMRANGEBYSCORE', CANDIDATES, '-inf', now - ${CANDIDATE_MS})
  redis.call('PEXPIRE', CANDIDATES, ${CANDIDATE_MS})
  candidates = redis.call('ZCARD', CANDIDATES)
elseif request.isLeaving then
  redis.call('ZREM', CANDIDATES, instance)
end
if redis.call('ZCARD', SEEN) > 2 then
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', SEEN, '-inf', now - 86400000, 'LIMIT', 0, 100)) do
    redis.call('ZREM', SEEN, gone)
    redis.call('HDEL', MEMBERS, gone)
    redis.call('HDEL', PROCESSES, gone)
  end
end

if not request.isLeaving and redis.call('HGET', PROCESSES, instance) ~= request.about then
  redis.call('HSET', PROCESSES, instance, request.about)
end

local leader = redis.call('GET', LEADER) or nil
local fence = leader and string.match(leader, '^' .. string.gsub(instance, '%p', '%%%0') .. ' (%d+) ')
if request.mayLead and not leader then
  fence = redis.call('HINCRBY', STATE, 'fence', 1)
  leader = instance .. ' ' .. string.format('%d', fence) .. ' ' .. field('datasetId')
  redis.call('SET', LEADER, leader, 'PX', request.leaseMs)
elseif fence and request.mayLead then
  redis.call('PEXPIRE', LEADER, request.leaseMs)
elseif fence then
  redis.call('DEL', LEADER)
  leader, fence = nil, nil
end
-- Thousands of processes send heartbeats; the leader's own syncs are none.
if not (leader and isKnown and request.isIdle) then extendLifetime(request.retentionMs) end

local isSame = isKnown and number('version') == request.version
return cjson.encode({ now = now, delta = result, lastSequence = last, assignedEpoch = assignedEpoch,
  leader = leader and string.match(leader, '^%S+'), fence = tonumber(fence), processes = redis.call('ZCARD', SEEN) - 1,
  candidates = candidates, state = not isSame and state() or nil })
`);

/** What was sent since the leader's last read, and up to when everything has been sent that will be. */
export const READ = script(`
local after, count, leaseMs = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if redis.call('GET', LEADER) ~= ARGV[1] or not hasDataset(field('datasetId')) then return false end
local found, entries, bytes = redis.call('XRANGE', DELTAS, after, '+', 'COUNT', count), {}, 0
for _, entry in ipairs(found) do
  local size = 0
  for _, text in ipairs(entry[2]) do size = size + #text end
  if size > ${MAX_ENTRY_BYTES} then
    entry = { entry[1], { 'too-long', tostring(size) } }
  else
    bytes = bytes + size
    if bytes > ${MAX_READ_BYTES} and #entries > 0 then break end
  end
  table.insert(entries, entry)
end
local settledUpTo = now
for _ = 1, 100 do
  local first = redis.call('ZRANGE', SETTLED, 0, 0, 'WITHSCORES')
  if first[2] == 'inf' then break end
  local seenAt = redis.call('ZSCORE', SEEN, first[1])
  if seenAt and tonumber(seenAt) >= now - leaseMs then
    settledUpTo = math.min(now, tonumber(first[2]))
    break
  end
  redis.call('ZREM', SETTLED, first[1])
end
-- Processes without outcomes rest: what they record next arrives within a flush.
if redis.call('ZCARD', SEEN) > redis.call('ZCARD', SETTLED) then
  settledUpTo = math.min(settledUpTo, now - tonumber(ARGV[5]))
end
local isAll = #found < count and #entries == #found
-- The next delta wakes the leader. With a full memory nothing can be noted, and nothing comes.
if ARGV[6] == '1' and #found == 0 then redis.pcall('HSET', STATE, 'resting', '1') end
return { serverInfo('server', 'run_id'), entries, isAll and 1 or 0, settledUpTo,
  number('epoch'), number('oldestEpoch'), number('epochStartedAt') }
`);

/** The checkpoint of the last leader, and its rollups, which outlive the dataset: what is in them is counted for good. */
export const LOAD_CHECKPOINT = script(`
local id, text = field('datasetId', ''), redis.call('GET', CHECKPOINT) or ''
local isThere = hasDataset(id) and #text > #id
return { isThere and string.sub(text, #id + 1) or '', redis.call('HGET', ROLLUPS, 'earlier') or '',
  redis.call('HGET', ROLLUPS, 'linesAdded') or '0' }
`);

/** Saves the leader's checkpoint and the rollups up to it, and deletes the entries that are in it. */
export const SAVE_CHECKPOINT = script(`
local id, retention = field('datasetId'), ARGV[4]
if redis.call('GET', LEADER) ~= ARGV[1] or not hasDataset(id) then return 0 end
redis.call('SET', CHECKPOINT, id .. ARGV[3], 'PX', retention)
redis.call('XTRIM', DELTAS, 'MINID', ARGV[2])
local before = tonumber(ARGV[6])
-- So many of them came with a request whose reply was lost.
local known = (tonumber(redis.call('HGET', ROLLUPS, 'linesAdded') or '0') or 0) - before
local added = 0
for i = 8, #ARGV, 2 do
  added = added + 1
  if added > known then redis.call('RPUSH', SERIES .. ARGV[i], ARGV[i + 1]) end
end
redis.call('HSET', ROLLUPS, 'earlier', ARGV[5], 'linesAdded', string.format('%d', before + added))
for name, most in pairs({ ${SERIES.map(({ name, maxLines }) => `['${name}'] = ${maxLines}`).join(', ')} }) do
  local key, removedUpTo = SERIES .. name, nil
  for _ = most + 1, redis.call('LLEN', key) do
    local line = redis.call('LPOP', key)
    local at, duration = string.match(line, '^{"at":(%d+),"durationMs":(%d+)')
    if at then removedUpTo = math.max(removedUpTo or 0, at + duration) end
  end
  if removedUpTo then
    local known = tonumber(redis.call('HGET', ROLLUPS, 'removed:' .. name) or '0') or 0
    redis.call('HSET', ROLLUPS, 'removed:' .. name, string.format('%d', math.max(known, removedUpTo)))
  end
  redis.call('PEXPIRE', key, retention)
end
redis.call('PEXPIRE', ROLLUPS, retention)
local events = SERIES .. 'events'
for _, event in ipairs(cjson.decode(ARGV[7])) do redis.call('RPUSH', events, event) end
for _ = ${MOST_SHARED_EVENTS} + 1, redis.call('LLEN', events) do redis.call('LPOP', events) end
redis.call('PEXPIRE', events, retention)
return 1
`);

/**
 * Stops the whole fleet: the first decision counts. One that was made before an operator turned the flag on, or by a leader
 * that another process has replaced, is refused: it counts as one that an operator has undone. A stop that an operator asks for
 * replaces a step back.
 */
export const STOP = script(`
local id, decision, epoch, fence = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local current = field('stop')
local replaces = current and ARGV[5] == 'operator' and cjson.decode(current).action == 'step-back'
if current and not replaces then return cjson.encode(state()) end
for _, cleared in ipairs(cjson.decode(field('clearedStops', '[]'))) do
  if cleared == id then return cjson.encode(state()) end
end
if epoch < number('oldestEpoch') or (fence and fence < number('fence')) then
  clearedStop(id)
else
  redis.call('HSET', STATE, 'stop', decision, 'stopId', id, 'stopReason', ARGV[6])
  redis.call('HDEL', STATE, 'done')
end
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
redis.call('HDEL', STATE, 'stop', 'stopId', 'stopReason', 'done')
clearedStop(id)
openEpoch(math.max(number('epoch') + 1, minEpoch), revision, false)
return publish()
`);
