import { describe, expect, it } from 'vitest';
import { FILES, post, type RigOptions, sha256, startRig } from './rig.js';

const VIA = {
  streaming:
    ({ streaming }) =>
    (_context, file, { signal }) =>
      streaming.upload(file, signal),
  buffered:
    ({ buffered }) =>
    (_context, file, { signal }) =>
      buffered.upload(file, signal),
} satisfies Record<string, RigOptions['upload']>;

describe.each([
  ['streaming', 'kimi'],
  ['streaming', 'glm'],
  ['buffered', 'kimi'],
  ['buffered', 'glm'],
] as const)('the %s path to %s', (via, api) => {
  it.each(FILES)('delivers $name byte for byte', async ({ name, type, content }) => {
    const rig = await startRig({ upload: VIA[via], api });

    const response = await post(rig, name, content, type);

    expect(await response.json()).toMatchObject({ fileName: name, sizeBytes: content.length, via });
    expect(response.status).toBe(201);
    expect(rig.provider.received).toMatchObject([
      {
        api,
        fileName: name,
        contentType: type,
        purpose: api === 'kimi' ? 'file-extract' : 'agent',
        sizeBytes: content.length,
        sha256: sha256(content),
        streamed: via === 'streaming',
      },
    ]);
    expect(await rig.spooledFiles()).toEqual([]);
  });
});

describe('connections to the provider', () => {
  const uploadThree = async (via: keyof typeof VIA) => {
    const rig = await startRig({ upload: VIA[via] });
    for (const name of ['a', 'b', 'c']) expect((await post(rig, name, Buffer.from(name))).status).toBe(201);
    return new Set(rig.provider.received.map(({ clientPort }) => clientPort)).size;
  };

  it('are kept by the streaming path', async () => expect(await uploadThree('streaming')).toBe(1));
  it('are new for each buffered upload', async () => expect(await uploadThree('buffered')).toBe(3));
});

describe('concurrent uploads', () => {
  it.each(['streaming', 'buffered'] as const)('do not mix files up (%s)', async (via) => {
    const rig = await startRig({ upload: VIA[via] });
    const contents = Array.from({ length: 40 }, (_, index) =>
      Buffer.alloc(20_000 + index * 1000, `${index} `),
    );

    const responses = await Promise.all(contents.map((content, index) => post(rig, `${index}.txt`, content)));

    expect(responses.map(({ status }) => status)).toEqual(contents.map(() => 201));
    const arrived = Object.fromEntries(rig.provider.received.map((file) => [file.fileName, file.sha256]));
    expect(arrived).toEqual(
      Object.fromEntries(contents.map((content, index) => [`${index}.txt`, sha256(content)])),
    );
    expect(await rig.spooledFiles()).toEqual([]);
  });
});

describe('file names', () => {
  it.each([
    ['quotes', 'say "hi" \'there\'.txt', 'say "hi" \'there\'.txt'],
    ['emoji', '🚀 launch 日本語.md', '🚀 launch 日本語.md'],
    ['a Unix path', '../../etc/passwd', 'passwd'],
    ['a Windows path', 'C:\\Users\\me\\cv.pdf', 'cv.pdf'],
    ['a percent sign', '100%.csv', '100%.csv'],
    ['a semicolon', 'a;b=c.json', 'a;b=c.json'],
    ['5,000 characters', `${'é'.repeat(4996)}.txt`, `${'é'.repeat(125)}.txt`],
  ])('with %s arrive as plain names', async (_what, sent, arrived) => {
    const rig = await startRig({ upload: VIA.streaming });
    const response = await post(rig, sent, Buffer.from('x'));
    expect(response.status).toBe(201);
    expect(rig.provider.received.map(({ fileName }) => fileName)).toEqual([arrived]);
  });
});
