/**
 * Starts three members of one folder wherever a test starts a simulated instance, so that claims about one process are tried
 * again with members. The environment variable `KEELSON_MEMBERS` says which of them the test gets: `all`, the owner of shard 0,
 * or `none`, a member that owns nothing of an instance of one shard. The other two run the same tree and end with it.
 *
 * `test/members-again.long.test.ts` runs the files of the public surface in this way.
 */
import { KeelsonError } from '../../src/errors.ts'
import { placeShards } from '../../src/members/placement/shard-placement.ts'
import { createSystem } from '../../src/runtime/index.ts'
import {
  type App,
  type CloseReport,
  folderEngine,
  loadedOptions,
  type StartOptions,
  treeNames,
} from '../../src/supervisors/index.ts'
import { silentLogger } from '../../src/testing/index.ts'
import { SimulatedMachine } from '../../src/testing/simulated/simulated-machine.ts'
import { simulatedLocks } from './worlds/folder-world.ts'
import { SimulatedLinks } from './worlds/simulated-links.ts'
import '../../src/members/index.ts'

const names = ['a', 'b', 'c']
const [owner = '', ...rest] = [...new Set([...placeShards(1, names), ...names])]

type Start = SimulatedMachine['start']

/** The members that a machine runs now. They end before others start. */
const running = new WeakMap<SimulatedMachine, readonly App[]>()

const endAll = async (machine: SimulatedMachine): Promise<void> => {
  const apps = running.get(machine) ?? []
  running.delete(machine)
  for (const app of apps) app.system.kill(treeNames().root)
  await machine.during(Promise.all(apps.map((app) => app.closed)))
}

/**
 * The engine of three members, also of fewer shards: a start counts the names that `refuseFolder` reads and would refuse them.
 * Claims about one shard can be tried at a member that owns none only so.
 */
const engine = () => {
  const of = folderEngine({ members: names })
  const members = {
    get: () => (new Error().stack?.includes('refuseFolder') ? [owner] : names),
    enumerable: true,
  }
  return Object.freeze(Object.defineProperty({ ...of }, 'members', members))
}

/** What `at` answers; a synchronous read that is refused with `ELSEWHERE` is answered by `owner`, as the docs tell callers. */
const readingAt = <T extends object>(at: T, owner: T): T =>
  new Proxy(at, {
    get: (_, key) => {
      const found: unknown = Reflect.get(at, key, at)
      if (typeof found !== 'function') return found
      return (...given: unknown[]) => {
        try {
          return Reflect.apply(found, at, given)
        } catch (error) {
          if ((error as KeelsonError).code !== 'ELSEWHERE') throw error
          return Reflect.apply(Reflect.get(owner, key, owner) as typeof found, owner, given)
        }
      }
    },
  })

/** Begins three members, and answers the one that `which` names. */
const startMembers = (which: 'all' | 'none'): Start =>
  async function (this: SimulatedMachine, given: StartOptions) {
    const { clock, disk } = this
    await endAll(this)
    const links = new SimulatedLinks(clock, {})
    const folder = {
      locks: simulatedLocks(disk),
      transport: (_: string, member: string) => links.transport(member),
    }
    const asked = which === 'all' ? owner : (rest[0] ?? '')
    const checked = await Promise.all(
      names.map((member) =>
        loadedOptions({
          shards: 1,
          ...given,
          system:
            member === asked
              ? (given.system ?? createSystem({ clock, logger: given.logger ?? silentLogger }))
              : createSystem({ clock, logger: silentLogger }),
          cluster: { name: 'again', member, engine: folderEngine({ members: names }) },
        } as StartOptions),
      ),
    )
    const begun = checked.map((options) => {
      const cluster = { ...options.cluster, engine: engine() }
      return this.begin({ ...options, cluster } as typeof options, clock, { folder })
    })
    const apps = await this.during(Promise.all(begun))
    // Until they are linked.
    await clock.advance(1_000)
    const app = apps[names.indexOf(asked)]
    if (!app) throw new KeelsonError('CONFIG', `no member ${asked}`)
    const others = apps.filter((each) => each !== app)
    running.set(this, others)
    const [first] = others.filter((each) => each === apps[names.indexOf(owner)])
    if (first) {
      const { entity } = app
      const store = readingAt(app.store, first.store)
      Object.defineProperty(app, 'store', { value: store })
      app.entity = ((kind: string) =>
        readingAt(Reflect.apply(entity, app, [kind]), first.entity(kind))) as App['entity']
    }
    const close = app.close.bind(app)
    app.close = async (options) => {
      const isDead = disk.isHalted
      const ends = [app, ...others].map((each) => {
        if (each === app) return close(options)
        if (!isDead) return each.close(options)
        each.system.kill(treeNames().root)
        return each.closed
      })
      running.delete(this)
      const [report] = await Promise.all(ends)
      return report as CloseReport
    }
    return app
  }

const { KEELSON_MEMBERS: which } = process.env
if (which === 'all' || which === 'none') SimulatedMachine.prototype.start = startMembers(which)
