// What the leader shows of the fleet, and who reads it.
import { SERIES } from '../../rollups/book-state.js';
import { bareScript, script } from './script.js';

/** Processes that are listed. */
const MAX_PROCESSES = 200;

/**
 * The processes that were seen within ten minutes, and what they said of themselves: the leader, then those that were silent longest,
 * and how many say the same. Those that left are not among them.
 */
export const READ_PROCESSES = script(`
local CHUNK = 1000
local listed, counts, groups = {}, {}, {}
local leader = string.match(redis.call('GET', LEADER) or '', '^%S+')
local function list(instance, seenAt, about)
  if about and #listed < ${MAX_PROCESSES} then table.insert(listed, { instance, seenAt, about }) end
end
local leaderSeenAt = leader and redis.call('ZSCORE', SEEN, leader)
if leaderSeenAt then list(leader, leaderSeenAt, redis.call('HGET', PROCESSES, leader)) end
local seen = redis.call('ZRANGEBYSCORE', SEEN, now - 600000, '(+inf', 'WITHSCORES')
for first = 1, #seen, 2 * CHUNK do
  local names = {}
  for i = first, math.min(first + 2 * CHUNK, #seen + 1) - 1, 2 do table.insert(names, seen[i]) end
  for i, about in ipairs(redis.call('HMGET', PROCESSES, unpack(names))) do
    if about then
      counts[about] = (counts[about] or 0) + 1
      if names[i] ~= leader then list(names[i], seen[first + 2 * i - 1], about) end
    end
  end
end
for about, count in pairs(counts) do table.insert(groups, { about, count }) end
return { listed, groups }
`);

/** Saves where the rollout stands. */
export const SAVE_VIEW = script(`
if redis.call('GET', LEADER) ~= ARGV[1] then return 0 end
redis.call('SET', VIEW, ARGV[2], 'PX', ARGV[3])
return 1
`);

/** Everything of the rollups that ends after a time, the newest first within each list, and what was removed from each. */
export const READ_ROLLUPS = script(`
local from, CHUNK = tonumber(ARGV[1]), 200
local function newest(name)
  local key, found = SERIES .. name, {}
  local last = redis.call('LLEN', key) - 1
  while last >= 0 do
    local first, isOver = math.max(0, last - CHUNK + 1), true
    local lines = redis.call('LRANGE', key, first, last)
    for i = #lines, 1, -1 do
      local at, duration = string.match(lines[i], '^{"at":(%d+),"durationMs":(%d+)')
      at = at or string.match(lines[i], '"at":(%d+)')
      if not at or at + (duration or 1) > from then
        isOver = false
        table.insert(found, lines[i])
      end
    end
    if isOver then break end
    last = first - 1
  end
  return { found, redis.call('HGET', ROLLUPS, 'removed:' .. name) or '' }
end
return { redis.call('HGET', ROLLUPS, 'earlier') or '', ${SERIES.map(({ name }) => `newest('${name}')`).join(', ')} }
`);

/** The view that the leader saved last, and what time it is. */
export const READ_VIEW = script(`
return { redis.call('GET', VIEW) or '', now }
`);

/** What the leaders reported. */
export const READ_EVENTS = script(`
return redis.call('LRANGE', SERIES .. 'events', 0, -1)
`);

/** Notes that there is this flag, and forgets those that nobody has noted for long. */
export const NOTE_FLAG = bareScript(`
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', time[1] - ARGV[2] / 1000)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
`);

/** The flags that were noted. */
export const READ_FLAGS = bareScript(`
return redis.call('ZRANGE', KEYS[1], 0, -1)
`);
