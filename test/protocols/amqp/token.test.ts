/** Logins with a token: what ends them, and what another token changes. */
import { describe, expect, test } from 'vitest';
import { TokenGrant } from '../../../src/engine/access/token-grant.ts';
import type { TokenLogin } from '../../../src/engine/access/token-login.ts';
import { Harness, type TestClient } from './amqp-harness.ts';

const LIFE_MS = 60_000;
const ALL = ['configure:*/*', 'write:*/*', 'read:*/*', 'write:*/*/*', 'read:*/*/*'];

interface Token {
  readonly name?: string;
  readonly scopes?: readonly string[];
  readonly lifeMs?: number;
}

interface Fixture {
  readonly harness: Harness;
  /** A text that logs in as described, its life counted from now. */
  issue(token?: Token): string;
  /** Answers verifications from now on only when told. */
  delay(): () => void;
}

async function open(): Promise<Fixture> {
  const harness = await Harness.open();
  const { broker, clock } = harness.fixture;
  const issued = new Map<string, TokenLogin>();
  let waiting: (() => void)[] | undefined;
  broker.access.tokenVerifier = {
    verify: (text, done) => {
      if (waiting === undefined) done(issued.get(text));
      else waiting.push(() => done(issued.get(text)));
    },
  };
  const issue = ({ name = 'ann', scopes = ALL, lifeMs = LIFE_MS }: Token = {}): string => {
    const text = `eyJ9.${issued.size}.c2ln`;
    issued.set(text, { name, grant: new TokenGrant(scopes, {}, clock.wallMs() + lifeMs) });
    return text;
  };
  const delay = () => {
    const answers: (() => void)[] = [];
    waiting = answers;
    return () => {
      for (const answer of answers) answer();
    };
  };
  return { harness, issue, delay };
}

function renew(client: TestClient, secret: string): void {
  client.send('connection.updateSecret', 0, [Buffer.from(secret), 'renewed']);
}

describe('expiry', () => {
  test('closes the connection with 320, and not a tick sooner', async () => {
    const { harness, issue } = await open();
    const client = await harness.connect([1], { user: '', password: issue() });
    const other = await harness.connect([1]);
    harness.fixture.clock.advance(LIFE_MS - 1);
    harness.acceptor.tick();
    expect(await client.names()).toEqual([]);
    harness.fixture.clock.advance(1);
    harness.acceptor.tick();
    const { fields } = await client.next('connection.close');
    expect(fields['replyCode']).toBe(320);
    expect(fields['replyText']).toBe('CONNECTION_FORCED - credential expired');
    client.send('connection.closeOk', 0);
    expect(client.transport.isEnded).toBe(true);
    expect(await other.names()).toEqual([]);
  });

  test('drops the socket of a client that does not answer', async () => {
    const { harness, issue } = await open();
    const client = await harness.connect([1], { password: issue() });
    harness.fixture.clock.advance(LIFE_MS);
    harness.acceptor.tick();
    await client.next('connection.close');
    harness.fixture.clock.advance(60_000);
    harness.acceptor.tick();
    expect(client.transport.isDestroyed).toBe(true);
  });

  test('ends consumers: nothing is delivered afterwards', async () => {
    const { harness, issue } = await open();
    harness.fixture.queue('q');
    const client = await harness.connect([1], { password: issue() });
    await client.consume(1, 'q');
    harness.fixture.clock.advance(LIFE_MS);
    harness.acceptor.tick();
    await client.next('connection.close');
    harness.fixture.publish('', 'q', 'secret');
    expect(await client.names()).toEqual([]);
    expect(await client.readyCount('q')).toBe(1);
  });

  test('refuses what comes before the tick', async () => {
    const { harness, issue } = await open();
    const client = await harness.connect([1], { password: issue() });
    harness.fixture.clock.advance(LIFE_MS);
    client.send('queue.declare', 1, ['q', false, false, false, false, false, new Map()]);
    expect((await client.next('channel.close')).fields['replyCode']).toBe(403);
  });

  test('between login and open refuses the vhost', async () => {
    const { harness, issue } = await open();
    await expect(harness.connect([], { password: issue({ lifeMs: 0 }) })).rejects.toThrow();
  });
});

describe('rights', () => {
  test('are those of the scopes', async () => {
    const { harness, issue } = await open();
    const scopes = ['configure:%2F/mine-*', 'write:%2F/mine-*'];
    const client = await harness.connect([1], { password: issue({ scopes }) });
    await client.declare(1, 'mine-1');
    client.send('queue.declare', 1, ['other', false, false, false, false, false, new Map()]);
    const { fields } = await client.next('channel.close');
    expect(fields['replyText']).toBe(
      "ACCESS_REFUSED - configure access to queue 'other' in vhost '/' refused for user 'ann'",
    );
  });

  test('without a scope for the vhost it cannot be opened', async () => {
    const { harness, issue } = await open();
    const password = issue({ scopes: ['read:elsewhere/*'] });
    await expect(harness.connect([], { password })).rejects.toThrow(
      /access to vhost '\/' refused for user 'ann'/,
    );
  });
});

describe('update-secret', () => {
  test('with a valid token keeps the connection until that one expires', async () => {
    const { harness, issue } = await open();
    const client = await harness.connect([1], { password: issue() });
    harness.fixture.clock.advance(LIFE_MS / 2);
    renew(client, issue());
    await client.next('connection.updateSecretOk');
    harness.fixture.clock.advance(LIFE_MS - 1);
    harness.acceptor.tick();
    expect(await client.names()).toEqual([]);
    harness.fixture.clock.advance(1);
    harness.acceptor.tick();
    expect((await client.next('connection.close')).fields['replyCode']).toBe(320);
  });

  test('replaces the rights: consumers, cached routes, later methods', async () => {
    const { harness, issue } = await open();
    harness.fixture.queue('q');
    const client = await harness.connect([1, 2], { password: issue() });
    await client.consume(1, 'q', { tag: 'c', noAck: true });
    client.publish(2, '', 'q', 'before');
    await client.next('basic.deliver');
    renew(client, issue({ scopes: ['configure:*/*'] }));
    expect(await client.names()).toEqual(['basic.cancel', 'connection.updateSecretOk']);
    client.publish(2, '', 'q', 'after');
    expect((await client.next('channel.close')).fields['replyCode']).toBe(403);
    expect(await client.readyCount('q')).toBe(0);
  });

  test('closes with 530 when the new token does not open the vhost', async () => {
    const { harness, issue } = await open();
    const client = await harness.connect([1], { password: issue() });
    renew(client, issue({ scopes: ['read:elsewhere/*'] }));
    const { fields } = await client.next('connection.close');
    expect(fields['replyText']).toBe("NOT_ALLOWED - access to vhost '/' refused for user 'ann'");
  });

  test.each([
    ['unknown', () => 'eyJ9.unknown.c2ln'],
    ['a password', () => 'guest'],
    ['of another user', (issue: Fixture['issue']) => issue({ name: 'bob' })],
    ['expired', (issue: Fixture['issue']) => issue({ lifeMs: 0 })],
  ])('closes with 530 when the secret is %s', async (_name, make) => {
    const { harness, issue } = await open();
    const client = await harness.connect([1], { password: issue() });
    renew(client, make(issue));
    const { fields } = await client.next('connection.close');
    expect(fields['replyCode']).toBe(530);
    expect(fields['replyText']).toBe('NOT_ALLOWED - New secret was refused by one of the backends');
    expect([fields['failedClassId'], fields['failedMethodId']]).toEqual([10, 70]);
  });

  test('is answered before anything that was sent after it is looked at', async () => {
    const { harness, issue, delay } = await open();
    const client = await harness.connect([1], { password: issue() });
    const answer = delay();
    renew(client, issue({ scopes: ['read:*/*'] }));
    client.send('queue.declare', 1, ['q', false, false, false, false, false, new Map()]);
    expect(await client.names()).toEqual([]);
    answer();
    expect(await client.names()).toEqual(['connection.updateSecretOk', 'channel.close']);
  });

  test('does not save a token that expires meanwhile', async () => {
    const { harness, issue, delay } = await open();
    const client = await harness.connect([1], { password: issue() });
    const answer = delay();
    renew(client, issue({ lifeMs: 10 * LIFE_MS }));
    harness.fixture.clock.advance(LIFE_MS);
    harness.acceptor.tick();
    expect((await client.next('connection.close')).fields['replyCode']).toBe(320);
    answer();
    expect(await client.names()).toEqual([]);
    client.send('connection.closeOk', 0);
    expect(client.transport.isEnded).toBe(true);
  });

  test('may come after the connection is gone', async () => {
    const { harness, issue, delay } = await open();
    const client = await harness.connect([1], { password: issue() });
    const answer = delay();
    renew(client, issue());
    client.transport.handler!.onClosed(undefined);
    answer();
    expect(await client.names()).toEqual([]);
  });
});
