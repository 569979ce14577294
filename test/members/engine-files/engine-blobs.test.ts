/** The blobs of a shard in the files of an engine that several members reach: each folder is a cache of them. */
import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { EngineBlobs } from '../../../src/members/engine-files/engine-blobs.ts'
import { EngineCalls } from '../../../src/members/engine-log/engine-calls.ts'
import type { BlobHost, BlobProtocol } from '../../../src/storage/blobs/blob-host.ts'
import type { EngineFiles } from '../../../src/storage/index.ts'
import { recordExtent } from '../../../src/storage/values/blob-extents.ts'
import type { BlobRef } from '../../../src/storage/values/blob-reference.ts'
import { inlineBlobHost } from '../../../src/testing/simulated/inline-host.ts'
import { changingOperations } from '../../../src/testing/simulated/simulated-faults.ts'
import { SimulatedMachine } from '../../../src/testing/simulated/simulated-machine.ts'
import { seedsOf, thorough } from '../../support/tier.ts'
import { dir, payload } from '../../support/worlds/blob-folder.ts'
import { type EngineFaults, SimulatedEngine } from '../../support/worlds/simulated-engine.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

/** Requests take about 1 ms, and none is lost. */
const calm: EngineFaults = { lostRequest: 0, lostAnswer: 0, late: 0, lateMs: 0, repeated: 0 }
const patienceMs = 1_000

/** An engine, and members with folders of their own. */
class World {
  readonly clock = virtualClock()
  readonly engine: SimulatedEngine

  constructor(faults: EngineFaults | undefined = calm, seed = 1) {
    this.engine = new SimulatedEngine({ clock: this.clock, seed, faults })
  }

  async member(epoch: number, on = new SimulatedMachine({ clock: this.clock })): Promise<Member> {
    const member = new Member(this, on)
    await member.claim(epoch)
    return member
  }

  during<T>(work: Promise<T>): Promise<T> {
    return new SimulatedMachine({ clock: this.clock }).during(work)
  }

  /** The names of the blobs in the engine. */
  names(): Promise<readonly string[]> {
    return this.during(this.engine.connect('c').files.list('shard-0/blob-'))
  }
}

/** A process of a member that owns the log, or did. */
class Member {
  readonly world: World
  readonly machine: SimulatedMachine
  readonly session
  readonly blobs: EngineBlobs
  host: BlobHost | undefined
  #lives = 0

  constructor(world: World, machine: SimulatedMachine, around = (files: EngineFiles) => files) {
    this.world = world
    this.machine = machine
    this.session = world.engine.connect('c')
    const { files, directory } = this.session
    const { disk } = machine
    if (!disk.entry('/data')) disk.makeFolder('/data')
    this.blobs = new EngineBlobs({
      ...{ files: around(files), directory, log: this.session.log('0'), clock: world.clock },
      ...{ disk, shard: 0, dir, patienceMs },
    })
  }

  get disk() {
    return this.machine.disk
  }

  /** Takes the log, and fills the cache. */
  async claim(epoch: number): Promise<void> {
    const { during, clock } = this.world
    const log = this.session.log('0')
    const calls = new EngineCalls(clock)
    const claim = async (): Promise<void> => {
      const { end: after } = await calls.ask(() => log.create('log'))
      const end = { epoch, lsn: after.lsn + 1, id: `${epoch}-${after.lsn + 1}` }
      const group = { after, end, provenLsn: after.lsn, bytes: new Uint8Array(0) }
      await calls.ask(() => log.append(group))
      await this.blobs.claimed(epoch, calls)
    }
    await during.call(this.world, claim())
  }

  /** Fills the cache beside an owner, with rows that show the log up to `shownLsn`. */
  follow(shownLsn: number): Promise<void> {
    return this.blobs.follow(new EngineCalls(this.world.clock), shownLsn)
  }

  async run<K extends keyof BlobProtocol>(
    kind: K,
    request: BlobProtocol[K]['request'],
  ): Promise<BlobProtocol[K]['answer']> {
    if (!this.host) {
      const { disk } = this
      const inner = inlineBlobHost({ disk, clock: this.world.clock, delayMs: () => 1 })
      this.host = this.blobs.host(inner)
      await this.host.run('open', { dir, segmentBytes: 64 * 1024, opening: ++this.#lives })
    }
    return this.host.run(kind, request)
  }

  /** Makes payloads durable, while time passes. */
  put(...given: Uint8Array[]): Promise<readonly BlobRef[]> {
    const payloads = given.map((bytes) => new Uint8Array(bytes))
    return this.world.during(this.run('put', { payloads }).then(({ refs }) => refs))
  }

  async stream(...pieces: Uint8Array[]): Promise<BlobRef> {
    const { stream } = await this.run('streamOpen', null)
    for (const bytes of pieces) await this.run('streamWrite', { stream, bytes })
    return (await this.run('streamFinish', { stream })).ref
  }

  /** The payload of a blob, verified by its SHA-256. */
  async read(ref: BlobRef): Promise<Uint8Array> {
    const { reading } = await this.run('readOpen', { ref, from: 0, to: ref.size })
    const pieces: Uint8Array[] = []
    for (let isDone = false; !isDone; ) {
      const bytes = new Uint8Array(100_000)
      const next = await this.run('readNext', { reading, bytes })
      pieces.push(next.bytes)
      isDone = next.done
    }
    return new Uint8Array(Buffer.concat(pieces))
  }

  /** Frees all but the records of `live`, as a sweep does. */
  async sweep(...live: readonly BlobRef[]): Promise<void> {
    await this.run('seal', null)
    for (const { segment } of (await this.run('survey', null)).segments) {
      const extents = live.filter((ref) => ref.segment === segment).map(recordExtent)
      const request = { segment, live: extents.sort((a, b) => a.from - b.from) }
      while (!(await this.run('clear', request)).done);
    }
  }

  /** The process ends. */
  async end(): Promise<void> {
    await this.world.during(this.host?.end() ?? Promise.resolve())
    this.host = undefined
  }

  file({ segment }: BlobRef): string {
    return `${dir}/${String(segment).padStart(20, '0')}.bloblog`
  }
}

/** A member with two blobs in one segment, a third in the next one, and a stream of many chunks. */
const stored = async (world = new World(), first = 1) => {
  const owner = await world.member(1)
  const payloads = [0, 1, 2].map((at) => payload(first + at, 30_000))
  const streamed = payload(first + 3, 400_000)
  const refs = [...(await owner.put(...payloads.slice(0, 2)))]
  refs.push(...(await owner.put(payloads[2] as Uint8Array)))
  const pieces = [streamed.slice(0, 150_000), streamed.slice(150_000)]
  refs.push(await world.during(owner.stream(...pieces)))
  return { world, owner, refs, contents: [...payloads, streamed] }
}

const allRead = (member: Member, refs: readonly BlobRef[]): Promise<Uint8Array[]> =>
  member.world.during(
    (async () => {
      const read: Uint8Array[] = []
      for (const ref of refs) read.push(await member.read(ref))
      return read
    })(),
  )

describe('a put', () => {
  test('is answered only when the engine has each of its records', async () => {
    const world = new World()
    const owner = await world.member(1)
    for (const write of [
      () => owner.run('put', { payloads: [payload(1), payload(2)] }).then(({ refs }) => refs),
      () => owner.stream(payload(3), payload(4)).then((ref) => [ref]),
    ]) {
      const before = await world.names()
      owner.session.pause(500)
      let answered: readonly BlobRef[] | undefined
      const work = write().then((refs) => {
        answered = refs
      })
      await world.clock.advance(400)
      expect([answered, await world.names()]).toEqual([undefined, before])

      await world.during(work)
      expect(await world.names()).toHaveLength(before.length + (answered?.length ?? 0))
    }
  })

  test('without an answer of the engine is refused, and nothing refers to its blobs', async () => {
    const { world, owner, refs, contents } = await stored()
    owner.session.pause(patienceMs + 100)
    const began = world.clock.monotonic()

    expect(await world.during(codeOf(owner.put(payload(5))))).toBe('NOT_SUBMITTED')
    expect(world.clock.monotonic() - began).toBeLessThan(patienceMs + 50)

    // Its record is only in the folder of this member: it harms nobody, and a sweep frees it.
    await world.clock.advance(200)
    const [later = refs[0] as BlobRef] = await owner.put(payload(6))
    const next = await world.member(2, owner.machine)
    expect(await allRead(next, [...refs, later])).toEqual([...contents, payload(6)])
    await world.during(next.sweep(...refs, later))
    expect(await allRead(next, [...refs, later])).toEqual([...contents, payload(6)])
  })

  test('to a folder that is gone is refused, and a later one makes it again', async () => {
    const { world, owner } = await stored()
    owner.disk.remove(dir)

    const refused = [await codeOf(owner.put(payload(5))), await codeOf(owner.put(payload(6)))]
    const refs = await owner.put(payload(7))

    expect(refused).toEqual(['SHARD_DOWN', 'SHARD_DOWN'])
    expect(await allRead(await world.member(2), refs)).toEqual([payload(7)])
  })

  test('whose segment is cut before the engine has its record is refused', async () => {
    const faults = { ...calm }
    const { world, owner } = await stored(new World(faults))
    const [before] = await owner.put(payload(5))
    const names = await world.names()
    faults.lostRequest = 1
    const put = codeOf(owner.put(payload(6)))
    await world.clock.advance(100)
    faults.lostRequest = 0
    const end = recordExtent(before as BlobRef).to
    owner.disk.open(owner.file(before as BlobRef), 'write').truncate(end + 100)

    expect(await world.during(put)).toBe('SHARD_DOWN')
    expect(await world.names()).toEqual(names)
  })

  test('ends with its host', async () => {
    const { world, owner } = await stored()
    owner.session.pause(100_000)
    const put = codeOf(owner.run('put', { payloads: [payload(5)] }))
    await world.clock.advance(10)
    await owner.end()
    expect(await put).toBe('CLOSED')
  })
})

describe('every blob is read', () => {
  test('by a member whose cache is empty', async () => {
    const { world, refs, contents } = await stored()
    const next = await world.member(2)
    expect(await allRead(next, refs)).toEqual(contents)
  })

  test('also if the cache lost a segment, the end of one, a record in the middle, or all', async () => {
    const { world, owner, refs, contents } = await stored()
    await owner.end()
    const [first, second] = refs as [BlobRef, BlobRef]
    const losses = [
      ...refs.map((ref) => () => owner.disk.remove(owner.file(ref))),
      () => owner.disk.open(owner.file(first), 'write').truncate(recordExtent(second).from + 100),
      () => {
        const file = owner.disk.open(owner.file(first), 'write')
        file.write(new Uint8Array(4_096), recordExtent(first).from)
      },
      () => owner.disk.remove('/data'),
    ]
    for (const [at, lose] of losses.entries()) {
      lose()
      const next = await world.member(2 + at, owner.machine)
      expect(await allRead(next, refs), `loss ${at}`).toEqual(contents)
      await next.end()
    }
  })

  test('while its owner writes on, with the records that only its folder has', async () => {
    const { world, owner, refs, contents } = await stored()
    const { stream } = await world.during(owner.run('streamOpen', null))
    await world.during(owner.run('streamWrite', { stream, bytes: payload(7) }))
    for (const ref of refs) owner.disk.remove(owner.file(ref))

    await owner.claim(2)

    const { ref } = await world.during(owner.run('streamFinish', { stream }))
    const [later = ref] = await owner.put(payload(8))
    const all = [...contents, payload(7), payload(8)]
    expect(await allRead(owner, [...refs, ref, later])).toEqual(all)
  })

  test('also if the folder is the cache of another log', async () => {
    const foreign = await stored(new World(), 10)
    await foreign.owner.end()
    const { world, refs, contents } = await stored()
    const [elsewhere] = await foreign.owner.put(payload(20))

    const next = await world.member(2, foreign.owner.machine)
    const [later] = (await next.put(payload(9))) as [BlobRef]

    expect(Math.abs(later.segment - (elsewhere?.segment ?? 0))).toBe(1)
    expect(await allRead(next, [...refs, later])).toEqual([...contents, payload(9)])
  })

  test('also after power cuts while the cache was filled', { tags: ['slow'] }, async () => {
    const { world, refs, contents } = await stored()
    let cuts = 0
    for (let seed = 1; seed <= thorough(24, 400); seed++) {
      const machine = new SimulatedMachine({ clock: world.clock, seed })
      const first = await world.member(3 * seed, machine)
      // Every header is there still, and no trailer of a stream.
      for (const ref of refs)
        machine.disk.open(first.file(ref), 'write').truncate(recordExtent(ref).from + 20_000)
      if (seed % 2 === 0) machine.disk.remove(dir)
      const at = 1 + (seed % 17)
      machine.disk.inject({ at, operation: changingOperations, fault: { kind: 'halt' } })
      if ((await codeOf(first.claim(3 * seed + 1))) !== 'ok') cuts++
      machine.disk.crash()

      const next = await world.member(3 * seed + 2, machine)
      expect(await allRead(next, refs), `seed ${seed}`).toEqual(contents)
    }
    expect(cuts).toBeGreaterThan(12)
  })

  test('by a member that follows, also if its folder was deleted in between', async () => {
    const { world, owner, refs, contents } = await stored()
    const follower = new Member(world, new SimulatedMachine({ clock: world.clock }))
    const follow = () => world.during(follower.follow(0))
    await follow()
    const [later] = (await owner.put(payload(9))) as [BlobRef]
    await follow()
    const all = [...contents, payload(9)]
    expect(await allRead(follower, [...refs, later])).toEqual(all)

    follower.disk.remove(dir)
    await follow()
    expect(await allRead(follower, [...refs, later])).toEqual(all)
  })

  test('while the engine is away', async () => {
    const { world, refs, contents } = await stored()
    const next = await world.member(2)
    next.session.pause(1_000_000)
    expect(await allRead(next, refs)).toEqual(contents)
  })

  test('but for one that the engine has lost: it is CORRUPT, and the others are read', async () => {
    const { world, refs, contents } = await stored()
    const lost = (await world.names()).find((name) => name.includes(`-${refs[1]?.offset}-`)) ?? ''
    const next = new Member(world, new SimulatedMachine({ clock: world.clock }), (files) => ({
      ...files,
      list: async (prefix) => {
        const names = await files.list(prefix)
        await files.remove(lost)
        return names
      },
    }))
    await next.claim(2)

    expect(await world.during(codeOf(next.read(refs[1] as BlobRef)))).toBe('CORRUPT')
    const left = refs.filter((_, at) => at !== 1)
    expect(await allRead(next, left)).toEqual(contents.filter((_, at) => at !== 1))
  })
})

describe('a sweep', () => {
  test('frees what is dead in the folder and in the engine, and nothing else', async () => {
    const { world, owner, refs, contents } = await stored()
    const kept = [refs[0], refs[3]] as BlobRef[]

    await world.during(owner.sweep(...kept))

    expect(await world.names()).toHaveLength(2)
    const next = await world.member(2)
    expect(await allRead(next, kept)).toEqual([contents[0], contents[3]])
  })

  test('of an owner that was replaced removes nothing from the engine', async () => {
    const { world, owner, refs, contents } = await stored()
    const next = await world.member(2)
    const before = await world.names()

    expect(await world.during(codeOf(owner.sweep()))).toBe('FENCED')

    expect(await world.names()).toEqual(before)
    expect(await allRead(next, refs)).toEqual(contents)
  })

  test('does not see a stream whose blob is on its way to the engine', async () => {
    const { world, owner, refs } = await stored()
    owner.session.pause(500)
    const finished = owner.stream(payload(5))
    await world.clock.advance(100)

    const { segments } = await world.during(owner.run('survey', null))

    expect(new Set(segments.map(({ segment }) => segment))).toEqual(
      new Set(refs.map(({ segment }) => segment)),
    )
    const { segment } = await world.during(finished)
    const after = await world.during(owner.run('survey', null))
    expect(after.segments.map((each) => each.segment)).toContain(segment)
  })

  test('sees no put that the engine has not answered', async () => {
    const { world, owner } = await stored()
    owner.session.pause(500)
    const order: string[] = []
    const put = owner.put(payload(5)).then(() => order.push('put'))
    const survey = owner.run('survey', null).then(() => order.push('survey'))
    await world.during(Promise.all([put, survey]))
    expect(order).toEqual(['put', 'survey'])
  })
})

test('a member that follows frees what its owner has freed, when its rows show the log as it was then', async () => {
  const { world, owner, refs, contents } = await stored()
  const follower = new Member(world, new SimulatedMachine({ clock: world.clock }))
  const follow = (shownLsn: number) => world.during(follower.follow(shownLsn))
  const { lsn } = (await world.during(owner.session.log('0').head())).end
  await follow(lsn)
  const kept = [refs[0], refs[3]] as BlobRef[]
  // The log goes on to the frame that replaces two of the values.
  await owner.claim(2)
  await world.during(owner.sweep(...kept))

  for (const shownLsn of [lsn, lsn, lsn]) await follow(shownLsn)
  // That frame may read them.
  expect(await allRead(follower, refs)).toEqual(contents)
  const [later] = (await owner.put(payload(9))) as [BlobRef]
  await follow(lsn + 1)

  expect(follower.disk.entry(follower.file(refs[2] as BlobRef))).toBe(undefined)
  expect(await world.during(codeOf(follower.read(refs[1] as BlobRef)))).toBe('CORRUPT')
  const all = [contents[0], contents[3], payload(9)]
  expect(await allRead(follower, [...kept, later])).toEqual(all)
})

test('a member that follows on a full disk frees what its owner has freed, before it fills', async () => {
  const { world, owner, refs } = await stored()
  const follower = new Member(world, new SimulatedMachine({ clock: world.clock }))
  const { lsn } = (await world.during(owner.session.log('0').head())).end
  const follow = () => world.during(codeOf(follower.follow(lsn + 1)))
  expect(await follow()).toBe('ok')
  await owner.claim(2)
  await world.during(owner.sweep(refs[0] as BlobRef))
  expect(await follow()).toBe('ok')

  const [later] = (await owner.put(payload(9, 50_000))) as [BlobRef]
  const { disk } = follower
  disk.capacityBytes = 2 ** 40
  disk.capacityBytes -= disk.freeBytes
  for (let look = 0; look < 3; look++) await follow()

  expect(disk.entry(follower.file(refs[2] as BlobRef))).toBe(undefined)
  expect(await allRead(follower, [later])).toEqual([payload(9, 50_000)])
})

test('no two lives of any member write one segment, also without their folders', async () => {
  const world = new World()
  const owner = await world.member(1)
  const others = [await world.member(2), await world.member(3)]
  const written = new Set<number>()
  let lives = 0
  for (const member of [owner, owner, ...others, owner])
    for (const spoil of [
      () => undefined,
      () => member.disk.remove(dir),
      () => {
        member.disk.remove(`${dir}/next_segment_id`)
        const file = member.disk.open(`${dir}/next_segment_id`, 'create')
        file.write(Buffer.from('no number'), 0)
        file.close()
      },
    ]) {
      const [ref] = await member.put(payload(lives++))
      written.add(ref?.segment ?? 0)
      await member.end()
      spoil()
    }
  expect(written.size).toBe(lives)
})

test('what is lost, late or repeated changes nothing', async () => {
  const faults = { lostRequest: 0.1, lostAnswer: 0.2, late: 0.1, lateMs: 60, repeated: 0.2 }
  for (const seed of seedsOf(6, 200)) {
    const { world, owner, refs, contents } = await stored(new World(faults, seed))
    await world.during(owner.sweep(...refs.slice(1)))
    const next = await world.member(2)
    expect(await allRead(next, refs.slice(1)), `seed ${seed}`).toEqual(contents.slice(1))
    await world.during(codeOf(owner.sweep()))
    const last = await world.member(3)
    expect(await allRead(last, refs.slice(1)), `seed ${seed}`).toEqual(contents.slice(1))
  }
})
