import type { EvaluationContext } from '@openfeature/server-sdk';
import type { Context } from 'unleash-client';
import { describe, expect, it, vi } from 'vitest';
import { toUnleashContext } from '../../../providers/unleash/context.js';

const noon = new Date('2026-03-01T12:00:00.000Z');

describe('toUnleashContext', () => {
  it.each<[string, EvaluationContext, Context]>([
    ['nothing', {}, {}],
    ['the targeting key', { targetingKey: 'u1' }, { userId: 'u1' }],
    ['a user id when there is no targeting key', { userId: 'u2' }, { userId: 'u2' }],
    ['a user id when the targeting key is empty', { targetingKey: '', userId: 'u2' }, { userId: 'u2' }],
    ['the targeting key rather than a user id', { targetingKey: 'u1', userId: 'u2' }, { userId: 'u1' }],
    ['a numeric user id', { userId: 42 }, { userId: '42' }],
    [
      "Unleash's own fields",
      { sessionId: 's', remoteAddress: '127.0.0.1', environment: 'prod', appName: 'shop' },
      { sessionId: 's', remoteAddress: '127.0.0.1', environment: 'prod', appName: 'shop' },
    ],
    ['text and numbers, as they are', { plan: 'pro', seats: 3 }, { properties: { plan: 'pro', seats: 3 } }],
    ['booleans, as text', { beta: true, paying: false }, { properties: { beta: 'true', paying: 'false' } }],
    ['dates, as text', { since: noon }, { properties: { since: '2026-03-01T12:00:00.000Z' } }],
    [
      'explicit properties',
      { properties: { plan: 'pro', beta: true } },
      { properties: { plan: 'pro', beta: 'true' } },
    ],
    [
      'explicit properties beside attributes, which win',
      { plan: 'free', properties: { plan: 'pro', seats: 3 } },
      { properties: { plan: 'free', seats: 3 } },
    ],
    ['empty properties', { properties: {} }, { properties: {} }],
    ['a current time given as a date', { currentTime: noon }, { currentTime: noon }],
    ['a current time given as text', { currentTime: '2026-03-01T13:00:00+01:00' }, { currentTime: noon }],
    ['a current time given in milliseconds', { currentTime: noon.getTime() }, { currentTime: noon }],
    [
      'null and undefined as absent',
      { plan: null, userId: null, sessionId: undefined, currentTime: null } as never,
      {},
    ],
  ])('translates %s', (_, context, expected) => {
    const onDropped = vi.fn();

    expect(toUnleashContext(context, onDropped)).toEqual(expected);
    expect(onDropped).not.toHaveBeenCalled();
  });

  it.each<[string, EvaluationContext, string]>([
    ['an object', { address: { city: 'Oslo' } }, 'address'],
    ['an array', { tags: ['a'] }, 'tags'],
    ['an invalid date', { since: new Date(Number.NaN) }, 'since'],
    ['an invalid current time', { currentTime: 'noon' }, 'currentTime'],
    ['a nested session id', { sessionId: { id: 's' } }, 'sessionId'],
    ['a nested user id', { userId: ['u'] }, 'userId'],
    ['properties that are none', { properties: 'plan=pro' }, 'properties'],
    ['a nested value within properties', { properties: { address: { city: 'Oslo' } } }, 'address'],
  ])('leaves out %s and reports it', (_, context, dropped) => {
    const onDropped = vi.fn();

    const { properties, ...fields } = toUnleashContext(context, onDropped);

    expect(onDropped.mock.calls).toEqual([[dropped]]);
    expect([fields, properties ?? {}]).toEqual([{}, {}]);
  });

  it('leaves the given context as it was', () => {
    const context = Object.freeze({
      targetingKey: 'u',
      plan: 'pro',
      properties: Object.freeze({ seats: 1 }),
    });

    toUnleashContext(context);

    expect(context).toEqual({ targetingKey: 'u', plan: 'pro', properties: { seats: 1 } });
  });
});
