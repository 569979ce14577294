/** A peer that breaks the protocol loses its link, with one line in the log, and does nothing else. */
import { afterEach, describe, expect, test } from 'vitest'
import type { KeelsonError } from '../../../src/errors.ts'
import { knownKinds, linkKinds, linkProtocol } from '../../../src/members/links/link-message.ts'
import { outboxLimits } from '../../../src/members/links/link-outbox.ts'
import type { MembersOptions } from '../../../src/members/links/members.ts'
import { call, cast, type Ref } from '../../../src/runtime/index.ts'
import {
  deskAt,
  type LinkedMember,
  type LinkedWorld,
  linkedWorld,
  startDesk,
} from '../../support/worlds/linked-members.ts'
import {
  frameOfBytes,
  frameOfList,
  greetingOf,
  RoguePeer,
} from '../../support/worlds/rogue-peer.ts'

let world: LinkedWorld
afterEach(() => world.close())

/** A member `b` with a desk, and a peer that connects to it as `a`. */
const met = async (
  options?: Partial<MembersOptions>,
): Promise<{ b: LinkedMember; peer: RoguePeer }> => {
  world = linkedWorld()
  const b = await world.start('b', options)
  await startDesk(b)
  return { b, peer: new RoguePeer(world.links.connect('a', 'b')) }
}

const warnings = ({ log }: LinkedMember): readonly string[] => log.messages('warn')

describe('a greeting', () => {
  test.each([
    ['of another cluster', greetingOf({ cluster: 'other' }), 'CONFIG'],
    ['of a member with a greater name', greetingOf({ member: 'c' }), 'CONFIG'],
    ['of this very member', greetingOf({ member: 'b' }), 'CONFIG'],
    [
      'of another protocol',
      frameOfList('keelson-link', 2, 9, 'shop', 'a', 'x'),
      'UNSUPPORTED_VERSION',
    ],
    ['that is no greeting', frameOfList(1, 2, 3), 'INVALID_ARGUMENT'],
    ['without a member', frameOfList('keelson-link', linkProtocol, 9, 'shop'), 'INVALID_ARGUMENT'],
    ['with odd names', frameOfList('keelson-link', 1, 9, 'shop', 'a b', 'x'), 'INVALID_ARGUMENT'],
    ['that is too long', Buffer.from([0, 1, 0, 0]), 'TOO_LARGE'],
    ['that is no frame of ours', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'TOO_LARGE'],
  ])('%s is refused, with a line in the log', async (_, bytes, code) => {
    const { b, peer } = await met()
    peer.say(bytes)
    await world.clock.settle()
    expect(peer.isEnded).toBe(true)
    expect(warnings(b)).toHaveLength(1)
    expect(warnings(b)[0]).toContain(code)
    expect(b.members.status).toEqual([])
  })

  test('that does not come in 5 s ends the connection', async () => {
    const { b, peer } = await met()
    await world.clock.advance(4_999)
    expect(peer.isEnded).toBe(false)
    await world.clock.advance(2)
    expect(peer.isEnded).toBe(true)
    expect(warnings(b)).toHaveLength(1)
  })

  test('of a member that was connected to must be its own', async () => {
    world = linkedWorld()
    const a = await world.start('a')
    const greetings: RoguePeer[] = []
    await world.links.transport('b').listen(new AbortController().signal, (connection) => {
      greetings.push(new RoguePeer(connection).say(greetingOf({ member: 'c' })))
    })
    a.members.expect('b')
    await world.clock.advance(10_000)
    expect(a.members.status).toEqual([])
    expect(greetings.length).toBeGreaterThan(3)
    // The same refusal is said once.
    expect(warnings(a)).toHaveLength(1)
  })
})

const call1 = [linkKinds.call, 1, 'desk', 'echo', 1_000, 0, null]

describe('a message', () => {
  test.each([
    ['that is no structured value', frameOfBytes(Buffer.from('c1c1c1', 'hex')), 'INVALID_ARGUMENT'],
    ['that is no list', frameOfBytes(Buffer.of(1)), 'INVALID_ARGUMENT'],
    ['that is empty', frameOfBytes(Buffer.alloc(0)), 'INVALID_ARGUMENT'],
    ['of an unknown kind', frameOfList(knownKinds + 1, 1), 'INVALID_ARGUMENT'],
    ['of no kind', frameOfList('call', 1), 'INVALID_ARGUMENT'],
    ['of more than 8 MiB', Buffer.from([0, 0x80, 0, 1]), 'TOO_LARGE'],
    ['with too few parts', frameOfList(linkKinds.cast, 'desk'), 'INVALID_ARGUMENT'],
    ['with too many', frameOfList(linkKinds.abort, 1, 2), 'INVALID_ARGUMENT'],
    ['with a number that is none', frameOfList(linkKinds.abort, -1), 'INVALID_ARGUMENT'],
    ['with a long name', frameOfList(linkKinds.monitor, 1, 'x'.repeat(2_000)), 'INVALID_ARGUMENT'],
    ['with a deadline in the past', frameOfList(...call1.with(4, -5)), 'INVALID_ARGUMENT'],
    ['with flags of the future', frameOfList(...call1.with(5, 8)), 'INVALID_ARGUMENT'],
    [
      'that answers what was never asked',
      frameOfList(linkKinds.reply, 1, null),
      'INVALID_ARGUMENT',
    ],
    [
      'of the end of what is not watched',
      frameOfList(linkKinds.down, 3, { value: 1 }),
      'INVALID_ARGUMENT',
    ],
    ['with a reason that is none', frameOfList(linkKinds.failed, 1, 7), 'INVALID_ARGUMENT'],
    ['with a position that is none', frameOfList(linkKinds.reply, 1, [1]), 'INVALID_ARGUMENT'],
    [
      'with a shard that is none',
      frameOfList(linkKinds.returned, 70_000, 'desk', 'note', 0),
      'INVALID_ARGUMENT',
    ],
    [
      'with a number in use',
      Buffer.concat([call1, call1].map((list) => frameOfList(...list.with(3, 'never')))),
      'INVALID_ARGUMENT',
    ],
  ])('%s ends the link, with a line in the log', async (_, bytes, code) => {
    const { b, peer } = await met()
    peer.say(greetingOf())
    await world.clock.settle()
    expect(b.members.status).toHaveLength(1)
    peer.say(bytes)
    await world.clock.settle()
    expect(peer.isEnded).toBe(true)
    expect(warnings(b)).toHaveLength(1)
    expect(warnings(b)[0]).toContain(code)
    expect(b.members.status).toEqual([])
    expect(b.system.processes().filter(({ kind }) => kind === 'link')).toEqual([])
  })

  test('with options that a call must not have is refused to its caller, and the link lives', async () => {
    const { peer } = await met()
    peer.say(greetingOf(), frameOfList(...call1.with(6, '')))
    await world.clock.settle()
    expect(peer.isEnded).toBe(false)
    expect(peer.heard.at(-1)).toMatchObject([linkKinds.failed, 1, { code: 'INVALID_ARGUMENT' }])
  })

  test('to a process that must not be reached finds none', async () => {
    world = linkedWorld()
    const b = await world.start('b', { reach: () => undefined })
    await startDesk(b)
    const peer = new RoguePeer(world.links.connect('a', 'b'))
    peer.say(greetingOf(), frameOfList(...call1), frameOfList(linkKinds.monitor, 2, 'desk'))
    peer.say(frameOfList(linkKinds.cast, 'desk', 'note', 0, 1))
    await world.clock.settle()
    expect(peer.heard.slice(1)).toMatchObject([
      [linkKinds.failed, 1, { code: 'NO_PROCESS' }],
      [linkKinds.down, 2, { value: 'noproc' }],
    ])
  })
})

describe('a peer', () => {
  test('that takes no answers gets BUSY at half the room for them, and then loses its link', {
    tags: ['slow'],
  }, async () => {
    const { b, peer } = await met({
      limits: { ...outboxLimits, ownBytes: 4_000_000, ownMessages: 500 },
    })
    peer.say(greetingOf())
    await world.clock.settle()
    world.links.pause('a')
    let [id, most] = [0, 0]
    const ask = async (payload: unknown): Promise<void> => {
      peer.say(frameOfList(...call1.with(1, ++id), payload))
      await world.clock.settle()
      most = Math.max(most, b.members.status[0]?.bytes ?? 0)
    }
    while (id < 40) await ask(Buffer.alloc(100_000))
    expect(most).toBeGreaterThan(2_000_000)
    expect(most).toBeLessThan(2_300_000)
    expect(peer.isEnded).toBe(false)
    while (id < 2_000 && !peer.isEnded) await ask(1)
    expect(peer.isEnded).toBe(true)
    expect(most).toBeLessThan(4_000_000)
    expect(warnings(b)).toHaveLength(1)
    expect(warnings(b)[0]).toContain('BUSY')
  })

  test('that has more calls without an answer than a link may have gets BUSY for the next', async () => {
    const { peer } = await met({ limits: { ...outboxLimits, ownMessages: 100 } })
    peer.say(greetingOf())
    for (let id = 1; id <= 101; id++)
      peer.say(frameOfList(linkKinds.call, id, 'nobody', 'echo', null, 2, null))
    await world.clock.settle()
    expect(peer.heard.slice(1)).toMatchObject([[linkKinds.failed, 101, { code: 'BUSY' }]])
    expect(peer.isEnded).toBe(false)
  })

  test('that connects again replaces its link', async () => {
    const { b, peer } = await met()
    peer.say(greetingOf())
    await world.clock.settle()
    const again = new RoguePeer(world.links.connect('a', 'b')).say(
      greetingOf({ incarnation: 'a-2' }),
    )
    await world.clock.settle()
    expect([peer.isEnded, again.isEnded]).toEqual([true, false])
    expect(b.members.status).toMatchObject([{ member: 'a', incarnation: 'a-2' }])
  })

  test('of an older version is sent nothing that it does not know: the caller is refused', async () => {
    world = linkedWorld()
    const a = await world.start('a')
    const b = await world.start('b', { knows: 1 })
    await startDesk(b)
    a.members.expect('b')
    await world.clock.advance(1_000)
    const desk = deskAt(a)
    expect(await call(desk, 'echo', 1)).toBe(1)
    expect(cast(desk, 'note', 2)).toBe(true)
    await world.clock.settle()
    expect(a.log.messages('error')[0]).toContain('UNSUPPORTED_VERSION')
    const reasons: unknown[] = []
    a.system.monitor(desk as Ref, (reason) => reasons.push(reason))
    await world.clock.settle()
    expect(await call(desk, 'seen')).toEqual([])
    expect(a.members.status).toHaveLength(1)
  })

  test('of which nothing can be asked refuses calls with UNSUPPORTED_VERSION', async () => {
    world = linkedWorld()
    const a = await world.start('a')
    await world.start('b', { knows: 0 })
    a.members.expect('b')
    await world.clock.advance(1_000)
    const error = await call(deskAt(a), 'echo', 1).catch((thrown: KeelsonError) => thrown)
    expect(error).toMatchObject({
      code: 'UNSUPPORTED_VERSION',
      details: { member: 'b', message: 'echo' },
    })
  })
})
