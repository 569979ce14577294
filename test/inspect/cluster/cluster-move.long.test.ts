/** `keelson cluster create --from`: a data folder of one machine becomes a cluster, and loses nothing. */
import { expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import {
  type App,
  call,
  type DurableServer,
  entity,
  noReply,
  reply,
  type StartOptions,
  supervisor,
} from '../../../src/index.ts'
import { parseClusterCommand } from '../../../src/inspect/cluster/cluster-command-line.ts'
import { moveFolder } from '../../../src/inspect/cluster/cluster-move.ts'
import { loadClusterTools } from '../../../src/members/index.ts'
import type { EngineLog, EngineSession } from '../../../src/storage/index.ts'
import { loadedOptions, treeNames } from '../../../src/supervisors/index.ts'
import { silentLogger } from '../../../src/testing/index.ts'
import { clusterHere } from '../../support/commands/cluster-here.ts'
import { thorough } from '../../support/tier.ts'
import { Members } from '../../support/worlds/members.ts'

type Messages = {
  calls: { add: (by: number) => number; remind: () => void }
  alarms: { due: () => void }
}
type State = { readonly count: number; readonly reminded: number }
const server: DurableServer<Messages, State> = {
  init: () => ({ count: 0, reminded: 0 }),
  calls: {
    add: (state, by) => reply(state.count + by, { ...state, count: state.count + by }),
    remind: (state, _, context) => {
      context.setAlarm('due', { inMs: 3_600_000 })
      return reply(undefined, state)
    },
  },
  alarms: { due: (state) => noReply({ ...state, reminded: 1 }) },
}
const counter = entity('counter', server)
const app = supervisor('app', {}, [counter])
const large = 'large'.repeat(100_000)
const dir = '/one'

/** The members, and the machine of the folder. */
class World extends Members {
  readonly #old = this.machine('old')
  readonly disk = this.#old.disk

  async open(options: Partial<StartOptions>): Promise<App> {
    return this.#old.begin(await loadedOptions({ dir, logger: silentLogger, ...options }))
  }

  /** Resolves when so much time of the virtual clock has passed. */
  later(ms: number): Promise<void> {
    return new Promise((resolve) => this.clock.after(ms, resolve))
  }

  /** Runs an instance of one machine in the folder. */
  async alone(work: (app: App) => Promise<unknown>): Promise<void> {
    const one = await this.during(this.open({ app, shards: 2 }))
    await work(one)
    await this.during(one.close())
  }

  async move(
    session: EngineSession = this.engine.connect('c'),
    from = dir,
    open = () => this.open({ app: false }),
  ) {
    const tools = await loadClusterTools()
    return this.during(
      moveFolder({
        ...{ dir: from, disk: this.#old.disk, session, tools, clock: this.clock },
        ...{ open },
        origin: { cluster: 'c', engine: 'simulated' },
        terms: { copies: 1 },
        signal: new AbortController().signal,
        display: { show: () => undefined },
      }),
      5 * 3_600_000,
    )
  }

  /** Opens the folder, which is not closed in order. */
  killed = async (): Promise<App> => {
    const one = await this.open({ app: false })
    const close = async (): Promise<void> => {
      this.disk.halt()
      one.system.kill(treeNames().root)
      await one.closed
      this.disk.crash()
    }
    return Object.create(one, { close: { value: close } })
  }

  async filled(): Promise<this> {
    await this.alone(async (one) => {
      const keys = Array.from({ length: 20 }, (_, key) => [`k${key}`, key] as const)
      await this.during(one.store.putMany(keys))
      await this.during(one.store.put('large', large))
      await this.during(one.store.put('brief', 1, { ttlMs: 3_600_000 }))
      const ref = (id: string) => one.entity(counter).ref(id)
      for (const id of ['1', '2', '3'])
        await this.during(call(ref(id), 'add', 5, { id: `add-${id}` }))
      await this.during(call(ref('1'), 'remind', undefined))
      await this.during(one.journal.append({ id: 'e1', type: 'placed', command: { id: 1 } }))
      const lsn = one.health().shards[0]?.appliedLsn ?? 0
      await this.during(one.journal.saveState(lsn, 'saved'))
    })
    return this
  }

  /** Nothing of the folder is missing at a new member, and a call with an id has no second effect. */
  async expectAll(member: string): Promise<App> {
    const one = await this.start(member, { app })
    expect(one.shards).toHaveLength(2)
    for (let key = 0; key < 20; key++) expect(one.store.get(`k${key}`)).toBe(key)
    expect(one.store.get('large')).toBe(large)
    expect(one.store.ttl('brief')).toBeGreaterThan(3_000_000)
    for (const id of ['1', '2', '3']) {
      const ref = one.entity(counter).ref(id)
      expect(await this.during(call(ref, 'add', 5, { id: `add-${id}` }))).toBe(5)
      expect(one.entity(counter).state(id)).toEqual({ count: 5, reminded: 0 })
    }
    const alarms = await this.during(one.entity(counter).alarms())
    expect(alarms.map(({ id, name }) => `${id} ${name}`)).toEqual(['1 due'])
    expect((await this.during(one.journal.loadState()))?.value).toBe('saved')
    await this.during(one.store.put('more', 1))
    expect(await this.during(call(one.entity(counter).ref('1'), 'add', 1))).toBe(6)
    return one
  }
}

const filled = (): Promise<World> => new World().filled()

test('a folder that is moved is there at a new member, and is its own no more', async () => {
  const world = await filled()

  const { shards, bytes } = await world.move()

  expect(shards).toBe(2)
  expect(bytes).toBeGreaterThan(large.length)
  const first = await world.expectAll('a')
  // The past is there, too.
  const { turns } = await world.during(first.entity(counter).history('1'))
  expect(turns).toHaveLength(3)
  await world.during(first.close())
  await expect(world.during(world.open({ app }))).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringContaining('is a cache of the cluster c'),
  })
  // The folder itself is a cache, which has little to read.
  const second = await world.start('old', { app, dir })
  expect(second.store.get('more')).toBe(1)
  expect(second.store.get('large')).toBe(large)
  expect(second.entity(counter).state('1')).toEqual({ count: 6, reminded: 0 })
})

test('a folder is moved whose one shard has never had a write', async () => {
  const world = new World()
  await world.alone((one) => world.during(one.store.put('k', 1)))

  await world.move()

  const one = await world.start('a', { app })
  expect(one.store.get('k')).toBe(1)
})

test('a folder is moved whose log names a large value that was refused, and has been freed', async () => {
  const world = new World()
  await world.alone(async (one) => {
    await world.during(one.store.lock(['k'], { owner: 'other', leaseMs: 60_000 }))
    const refused = one.store.put('k', large).catch(({ code }) => code)
    expect(await world.during(refused)).toBe('LOCKED')
    await world.during(one.store.put('large', large))
    await world.during(world.later(30 * 60_000), 31 * 60_000)
    await world.during(one.control.sweepAll())
  })

  await world.move()

  const one = await world.start('a', { app })
  expect(await world.during(one.store.load('large'))).toBe(large)
})

test('a move that was interrupted at any of its changes is repeated, and the cluster is whole', async () => {
  let step = 0
  for (let isWhole = false; !isWhole; step += thorough(9, 1)) {
    const world = await filled()
    isWhole = await world.move(failing(world.engine.connect('c'), step)).then(
      () => true,
      () => false,
    )
    if (!isWhole && step % 3 === 1)
      // Before the move is repeated, the folder may be used if it still is the truth.
      await world.alone((one) => world.during(one.store.put('later', 1))).catch(() => undefined)
    await world.move()

    await world.expectAll('a')
  }
  expect(step).toBeGreaterThan(20)
})

test('an entry that the folder gets after a move that was killed is in the log of the cluster', async () => {
  const world = await filled()
  await expect(world.move(losing(world, '1'), dir, world.killed)).rejects.toThrow('lost')

  await world.alone((one) =>
    world.during(one.journal.append({ id: 'e2', type: 'placed', command: { id: 2 } })),
  )
  await world.move()

  const one = await world.expectAll('a')
  const found: string[] = []
  await world.during(one.journal.replay({ handler: ({ id }) => void found.push(id) }))
  expect(found).toEqual(['e1', 'e2'])
})

test('keys that expire while their folder is moved are removed by its next member', async () => {
  const { world, isThere } = await expiring()

  await world.move(slow(world, 3_600_000))

  const one = await world.start('old', { app, dir })
  expect(isThere(one)).toEqual([false, false])
  await world.during(one.store.put('more', 1))
})

test('keys that expire between two attempts to move their folder are removed in the log of the cluster', async () => {
  const { world, isThere } = await expiring()
  await expect(world.move(losing(world, '1'), dir, world.killed)).rejects.toThrow('lost')
  await world.during(world.later(3_600_000), 3_700_000)

  // One shard does its housekeeping while another one opens.
  await world.move(undefined, dir, async () => {
    const one = await world.open({ app: false })
    await world.later(10_000)
    return one
  })

  const one = await world.start('old', { app, dir })
  expect(isThere(one)).toEqual([false, false])
  await world.during(one.store.put('more', 1))
})

test('while a folder is moved no member makes the cluster, and no other command does', async () => {
  const world = await filled()
  await expect(world.move(failing(world.engine.connect('c'), 9))).rejects.toThrow('lost')

  await expect(world.start('a')).rejects.toMatchObject({ code: 'CONFLICT' })
  await expect(world.during(clusterHere(world, 'create'))).rejects.toMatchObject({
    code: 'CONFLICT',
  })

  await world.alone((one) => world.during(one.store.put('later', 1)))
  await world.move()
  expect((await world.expectAll('a')).store.get('later')).toBe(1)
})

test('a folder that is none, is in use, or is of another cluster is refused, and changes nothing', async () => {
  const world = await filled()
  const codeOf = (from = dir) =>
    world.move(undefined, from).then(
      () => 'moved',
      (error: KeelsonError) => error.code,
    )
  expect(await codeOf('/nothing')).toBe('INVALID_ARGUMENT')
  await world.alone(async () => {
    expect(await codeOf()).toBe('LOCKED_DIR')
  })
  const { entries } = await world.during(world.engine.connect('c').directory.peek())
  expect(entries.size).toBe(0)

  await world.during(clusterHere(world, 'create'))
  expect(await codeOf()).toBe('CONFLICT')
  await world.alone(async (one) => expect(one.store.get('k1')).toBe(1))

  const words = ['create', '--from', 'x', '--shards', '2']
  expect(() => parseClusterCommand(words)).toThrow(/--shards or --from/)
  expect(() => parseClusterCommand(['create', '--shards', '1025'])).toThrow(/at most 1024/)
})

/** A folder with a key in each shard that expires in half an hour. */
const expiring = async () => {
  const world = new World()
  const keys: string[] = []
  await world.alone(async ({ store }) => {
    for (let at = 0; keys.length < 2; at++)
      if (store.shardOf(`k${at}`) === keys.length) keys.push(`k${at}`)
    for (const key of keys) await world.during(store.put(key, 1, { ttlMs: 1_800_000 }))
  })
  return { world, isThere: ({ store }: App) => keys.map((key) => store.get(key) !== undefined) }
}

/** A session with other logs. */
const withLogs = (world: World, wrap: (log: EngineLog, name: string) => EngineLog) => {
  const session = world.engine.connect('c')
  const { directory, files } = session
  const log = (name: string) => wrap(session.log(name), name)
  return { log, directory, files, now: () => session.now(), close: () => session.close() }
}

/** A session that cannot reach a log. */
const losing = (world: World, lost: string): EngineSession =>
  withLogs(world, (log, name) => {
    if (name === lost) throw new KeelsonError('CLOSED', 'lost')
    return log
  })

/** A session whose engine takes so long to make a log. */
const slow = (world: World, ms: number): EngineSession =>
  withLogs(world, (log) => ({
    ...log,
    create: async (id) => {
      await world.later(ms)
      return log.create(id)
    },
  }))

/** A session whose connection is lost for good at one of its changes, before or after that took effect. */
const failing = (session: EngineSession, step: number): EngineSession => {
  let changes = 0
  const wrap = <T extends object>(port: T, names: readonly (keyof T & string)[]): T => {
    const wrapped = names.map((name) => [
      name,
      async (...words: unknown[]) => {
        const at = 2 * changes++
        if (at >= step) throw new KeelsonError('CLOSED', 'lost')
        const done = await (port[name] as (...all: unknown[]) => Promise<unknown>)(...words)
        if (at + 1 >= step) throw new KeelsonError('CLOSED', 'lost')
        return done
      },
    ])
    return { ...port, ...Object.fromEntries(wrapped) }
  }
  return {
    log: (name) => wrap(session.log(name), ['create', 'append', 'name', 'trim']),
    directory: wrap(session.directory, ['set']),
    files: wrap(session.files, ['put']),
    now: () => session.now(),
    close: () => session.close(),
  }
}
