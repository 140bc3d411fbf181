import { z } from 'zod';
import {
  type ControlReply,
  type ControlRequest,
  type ControlState,
  controlReplySchema,
  controlRequestSchema,
} from '../../model/control.js';
import type { ControlLink } from '../control-link.js';
import { REQUEST_LIFETIME_MS } from '../control-link.js';
import { FleetError } from '../fleet-link.js';
import { type FleetState, fleetStateSchema, jsonText, type Lease } from '../fleet-shapes.js';
import { type RedisScript, script } from './script.js';

/** Requests that may wait; more are a mistake. */
const MOST_WAITING = 64;
/** How long an answer can be read, in milliseconds. */
const ANSWERS_LIVE_MS = 600_000;
const MOST_ANSWERS = 256;

/** The keys of these scripts are the last ones: what else a flag has stands before them. */
const KEYS_OF = `
local REQUESTS, REPLIES = KEYS[#KEYS - 1], KEYS[#KEYS]
`;

const SEND = script(`${KEYS_OF}
if redis.call('HLEN', REQUESTS) >= ${MOST_WAITING} then return 0 end
redis.call('HSET', REQUESTS, ARGV[1], now .. ' ' .. ARGV[2])
redis.call('PEXPIRE', REQUESTS, 86400000)
return 1
`);

const REPLY = script(`${KEYS_OF}
return redis.call('HGET', REPLIES, ARGV[1])
`);

const WITHDRAW = script(`${KEYS_OF}
local request = redis.call('HGET', REQUESTS, ARGV[1])
if redis.call('HGET', REPLIES, ARGV[1]) then return 0 end
if request and string.find(request, '^begun ') then return 0 end
redis.call('HDEL', REQUESTS, ARGV[1])
return 1
`);

/** A request begins with the server's time at which it was sent, or with \`begun\`. */
const TAKE = script(`${KEYS_OF}
if redis.call('GET', LEADER) ~= ARGV[1] then return false end
local found, all = {}, redis.call('HGETALL', REQUESTS)
for i = 1, #all, 2 do
  local sentAt, text = string.match(all[i + 1], '^(%S+) (.*)$')
  if sentAt == 'begun' or (tonumber(sentAt) or 0) > now - ${REQUEST_LIFETIME_MS} then
    table.insert(found, { all[i], text })
  else
    redis.call('HDEL', REQUESTS, all[i])
  end
end
return found
`);

const BEGIN = script(`${KEYS_OF}
if redis.call('GET', LEADER) ~= ARGV[1] or redis.call('HEXISTS', REQUESTS, ARGV[2]) == 0 then return 0 end
redis.call('HSET', REQUESTS, ARGV[2], 'begun ' .. ARGV[3])
return 1
`);

const SAVE = script(`${KEYS_OF}
if redis.call('GET', LEADER) ~= ARGV[1] then return 0 end
if ARGV[3] ~= '' then
  if redis.call('HLEN', REPLIES) >= ${MOST_ANSWERS} then redis.call('DEL', REPLIES) end
  redis.call('HSET', REPLIES, ARGV[3], ARGV[4])
  redis.call('PEXPIRE', REPLIES, ${ANSWERS_LIVE_MS})
  redis.call('HDEL', REQUESTS, ARGV[3])
end
if field('controls') ~= ARGV[2] then
  redis.call('HSET', STATE, 'controls', ARGV[2])
  publish()
end
return 1
`);

const READ_STATE = script('return cjson.encode(state())');

type Run = (script: RedisScript, args: readonly string[]) => Promise<unknown>;

const takenSchema = z.array(z.tuple([z.string(), z.string()])).optional();

/** The requests of operators for one flag in Redis. */
export class RedisControls implements ControlLink {
  readonly #run: Run;
  readonly #leader: (lease: Lease) => string;

  /** @param leader - The value of the leader's key under a lease. */
  constructor(run: Run, leader: (lease: Lease) => string) {
    this.#run = run;
    this.#leader = leader;
  }

  async send(request: ControlRequest): Promise<void> {
    if ((await this.#call(SEND, request.id, JSON.stringify(request))) === 1) return;
    throw new FleetError('UNAVAILABLE', `${MOST_WAITING} requests wait for the fleet's leader already.`);
  }

  async reply(id: string): Promise<ControlReply | undefined> {
    const text = await this.#call(REPLY, id);
    return jsonText(controlReplySchema).safeParse(text).data;
  }

  async withdraw(id: string): Promise<boolean> {
    return (await this.#call(WITHDRAW, id)) === 1;
  }

  async take(lease: Lease): Promise<readonly ControlRequest[] | undefined> {
    const found = takenSchema.safeParse((await this.#call(TAKE, this.#leader(lease))) ?? undefined).data;
    // What cannot be read is of another version, or foreign, and is deleted when it is too old.
    const requests = found?.flatMap(([id, text]) => {
      const request = jsonText(controlRequestSchema).safeParse(text).data;
      return request?.id === id ? [request] : [];
    });
    return requests?.sort((a, b) => a.at - b.at);
  }

  async begin(lease: Lease, request: ControlRequest): Promise<boolean> {
    return (await this.#call(BEGIN, this.#leader(lease), request.id, JSON.stringify(request))) === 1;
  }

  async save(
    lease: Lease,
    state: ControlState,
    answer: { readonly id: string; readonly reply: ControlReply } | undefined,
  ): Promise<boolean> {
    const reply = answer === undefined ? '' : JSON.stringify(answer.reply);
    const args = [this.#leader(lease), JSON.stringify(state), answer?.id ?? '', reply];
    return (await this.#call(SAVE, ...args)) === 1;
  }

  async state(): Promise<FleetState> {
    const state = jsonText(fleetStateSchema).safeParse(await this.#call(READ_STATE));
    if (state.success) return state.data;
    const message = "Redis has other data under the guard's names: give RedisOutcomeStore another prefix.";
    throw new FleetError('FOREIGN_DATA', message, state.error);
  }

  #call(script: RedisScript, ...args: readonly string[]): Promise<unknown> {
    return this.#run(script, args);
  }
}
