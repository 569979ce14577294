/**
 * Members are one instance: prompt and page of any of them answer for all, and
 * name the member that does not answer.
 */
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { KeelsonError } from '../../src/errors.ts'
import {
  call,
  cast,
  countsByNamespace,
  type DurableServer,
  entity,
  type GenServer,
  reply,
  supervisor,
} from '../../src/index.ts'
import { type TroubleKind, troubleKinds } from '../../src/inspect/answers/trouble-kinds.ts'
import { answerPages, Observer } from '../../src/inspect/observe/observer.ts'
import { promptWords } from '../../src/inspect/prompt/prompt-words.ts'
import { LocalSession } from '../../src/inspect/prompt/session.ts'
import { recordsOf } from '../../src/inspect/recorder/recorder.ts'
import { plainPaint } from '../../src/inspect/text/paint.ts'
import type { Header, Views } from '../../src/observe/index.ts'
import { shardOf } from '../../src/storage/index.ts'
import { type App, innerParts } from '../../src/supervisors/index.ts'
import { FolderMembers } from '../support/worlds/folder-members.ts'
import { plants } from '../support/worlds/planted-troubles.ts'

type Order = { readonly cents: number }
const order: DurableServer<{ calls: { place: (cents: number) => string } }, Order> = {
  init: () => ({ cents: 0 }),
  calls: { place: (_, cents) => reply('placed', { cents }) },
}
const orders = entity('order', order)
const totals = countsByNamespace('totals')

let world: FolderMembers
/** The member that is asked, and another one. */
let [here, there]: [App, App] = [] as never
const during = <T>(work: Promise<T>): Promise<T> => world.during(work)
const nameOf = (app: App): string => app[innerParts].way?.member ?? ''

beforeEach(async () => {
  world = new FolderMembers(['a', 'b', 'c'])
  const given = (member: string) => ({
    build: `of ${member}`,
    ...{ shards: 12, app: supervisor('app', {}, [orders]) },
    projections: [totals],
  })
  const apps = await world.start(undefined, given)
  for (const app of apps) answerPages(app)
  ;[here, there] = apps as [App, App]
})

/** The first id of an entity that this member has. */
const idAt = (app: App): string => {
  for (let at = 0; ; at++)
    if (app.entities.shardOf(`order/${at}`).phase.kind === 'open') return `${at}`
}

/** The first key that this member has. */
const keyAt = (app: App): string => {
  for (let at = 0; ; at++) {
    const { phase } = app.shards[shardOf(`k${at}`, app.shards.length)] ?? {}
    if (phase?.kind === 'open') return `k${at}`
  }
}

/** An order that the other member has. */
const placedThere = async (): Promise<string> => {
  const id = idAt(there)
  await during(call(here.entity(orders).ref(id), 'place', 995))
  return id
}

/** The answers of the prompt here to lines, as it prints them. */
const prompt = () => {
  const words = promptWords(here, plainPaint)
  const session = new LocalSession({ words, colours: false, verbose: false, completions: () => [] })
  return async (line: string): Promise<string> => (await during(session.run(line))).text ?? ''
}

/** A page of the member here: its looks, and its actions. */
const page = () => {
  const observer = new Observer(here, { isWriting: true, user: 'ann' })
  onTestFinished(() => observer.end())
  const asked = async (message: object): Promise<unknown> => {
    const answered = await during(observer.answer({ id: 1, ...message }))
    return 'answer' in answered ? answered.answer : answered.refusal
  }
  return {
    look: async <V extends keyof Views>(view: V, query: Views[V]['query']) =>
      ((await asked({ look: view, query })) as { data: Views[V]['data'] }).data,
    head: async () => ((await asked({ look: 'header', query: {} })) as { header: Header }).header,
    act: async (action: object) => {
      const planned = await asked({ plan: action })
      return asked({ act: { ...action, reason: 'a trial' }, planned })
    },
  }
}

describe('health', () => {
  test('has the last report of each other member with its age, and asks for the next one', async () => {
    const reports = () => here.health().members.filter(({ report }) => report !== undefined)
    expect(reports()).toEqual([])
    await world.clock.advance(100)
    const [first] = reports()
    expect(reports().map(({ member }) => member)).toEqual(
      ['a', 'b', 'c'].filter((each) => each !== nameOf(here)),
    )
    expect(first?.report?.health.shards).toHaveLength(12)
    expect(first?.report?.health.members.map(({ report }) => report)).toEqual([
      ...[undefined, undefined, undefined],
    ])
    expect(first?.report?.ageMs).toBeLessThanOrEqual(100)
  })

  test('has the version and the build of each member, at the prompt and on the page too', async () => {
    const [{ version } = {}] = (await during(here.healthOfAll())).members
    const members = ['a', 'b', 'c'].map((name) => ({ name, version, build: `of ${name}` }))
    const found = await during(here.healthOfAll())
    const text = await prompt()('health()')

    expect(version).toMatch(/^\d+\.\d+\.\d+/)
    expect(
      found.members.map(({ member, version, build }) => ({ name: member, version, build })),
    ).toEqual(members)
    expect((await page().look('overview', {})).members).toMatchObject(members)
    expect(text).toContain(`Keelson ${version}, build of ${nameOf(here)}\n`)
    expect(text).toContain(`Keelson ${version}, build of ${nameOf(there)}, started`)
  })

  test('of a shard that comes to a member says that it is not open since then', async () => {
    const from = world.clock.now()
    const owned = here.shards.filter(({ index }) => there.shards[index]?.phase.kind === 'open')
    await world.clock.advance(30_000)
    const came = owned.map(async (shard) => {
      await shard.changed()
      return [shard.phase.kind, shard.notOpenSince] as const
    })
    await world.kill(nameOf(there))
    // The third member takes the others.
    const [phase, since = 0] = await during(Promise.race(came))

    expect(phase).toBe('recovering')
    expect(since - from).toBeGreaterThanOrEqual(30_000)
  })

  test('of a member asks the others, who ask nobody', async () => {
    const asked: string[] = []
    for (const name of ['a', 'b', 'c']) here[innerParts].way?.answer(name, () => undefined)
    there[innerParts].reports?.askAll
    const reports = there[innerParts].reports
    if (!reports) throw new Error('it has members')
    reports.askAll = () => void asked.push('asked')
    here.health()
    await world.clock.advance(100)
    expect(here.health().members.filter(({ report }) => report)).toHaveLength(2)
    expect(asked).toEqual([])
  })

  test('names a member that does not answer, at the prompt and on the page', async () => {
    world.links.pause(nameOf(there))
    const text = await prompt()('health()')
    const { troubles } = await page().look('overview', {})
    world.links.resume(nameOf(there))

    expect(text).toMatch(
      new RegExp(
        `^warning: member silent, member ${nameOf(there)}, for .*: it is linked, and has not answered the last question: TIMEOUT`,
      ),
    )
    expect(troubles).toContainEqual(
      expect.objectContaining({ kind: 'member silent', subject: `member ${nameOf(there)}` }),
    )
  })

  test('says so where a part of the tree reports what cannot be sent, or too much', async () => {
    const { reports } = there.entities
    reports.set('odd', () => ({ run: () => 1 }))
    reports.set('large', () => 'x'.repeat(2 ** 20))
    const { members } = await during(here.healthOfAll())
    const found = members.find(({ member }) => member === nameOf(there))?.health?.parts

    expect(found).toEqual({
      odd: { unknown: expect.stringContaining('run') },
      large: { unknown: 'its report has 1048576 bytes' },
    })
  })

  test('of a member of another version is no fault here', async () => {
    const { way } = there[innerParts]
    way?.answer('health', () => ({ since: 1, health: { shards: 'all of them' } }))
    expect(await prompt()('health()')).toContain('its report cannot be read here')
  })
})

// Whether a shard has no owner is judged by the member that is asked: `answers/troubles.test.ts`.
const reported = (Object.keys(troubleKinds) as TroubleKind[]).filter(
  (kind) => kind !== 'shard without owner',
)

test.each(reported)(
  'a trouble of the kind %s at another member is in health(), at the prompt and on the page, with the member',
  async (kind) => {
    const { way } = there[innerParts]
    const health = plants[kind](there.health())
    way?.answer('health', () => ({ since: 1, health }))
    const ask = prompt()
    const text = await ask('health()')
    const data = await ask("health().troubles.map(({ kind, member }) => kind + ' at ' + member)")
    const { troubles } = await page().look('overview', {})
    const member = nameOf(there)

    expect(text.split('\n\n')[0]).toMatch(
      new RegExp(`^${troubleKinds[kind].severity}: ${kind}, .* at member ${member}`),
    )
    expect(data).toContain(`'${kind} at ${member}'`)
    expect(troubles.length).toBeGreaterThan(0)
    for (const each of troubles) expect(each).toMatchObject({ kind, member })
  },
)

describe('the words of the prompt', () => {
  test('wal and projections have each shard as its owner describes it', async () => {
    const member = nameOf(there)
    const ask = prompt()
    const [wal, projections] = [await ask('wal()'), await ask('projections()')]
    for (const { index } of there.shards.filter(({ phase }) => phase.kind === 'open')) {
      expect(wal).toMatch(new RegExp(`shard ${index} +open at member ${member}\n +level +durable`))
      expect(projections).toMatch(new RegExp(`^${index} at ${member} +following`, 'm'))
    }
    expect(wal).not.toMatch(/elsewhere|down/)
    expect(projections).toMatch(/totals +11 +live/)
  })

  test('journal and replication have the rows of all members', async () => {
    for (const index of here.shards.keys())
      await during(here.journal.on(index).append({ id: `e${index}`, type: 'order' }))
    const text = await prompt()('journal()')
    expect(text.match(/^shard \d+ /gm)).toHaveLength(12)
    expect(await prompt()('replication()')).toContain('nothing replicates')
  })

  test('entity and state show one that another member has, and call reaches it', async () => {
    const id = await placedThere()
    const ask = prompt()
    expect(await ask(`entity('order/${id}')`)).toMatch(
      new RegExp(`member +${nameOf(there)}\n[\\s\\S]*state +{ cents: 995 }`),
    )
    expect(await ask(`state('order/${id}')`)).toContain('cents: 995')
    expect(await ask(`info('order/${id}')`)).toContain('cents: 995')
    expect(await ask(`call('order/${id}', 'place', 5)`)).toBe("'placed'")
    expect(await ask(`entity('order/${id}')`)).toContain('{ cents: 5 }')
    expect(await ask(`call('order/${id}', 'plaze', 5)`)).toContain('place')
    expect(await ask(`kill('order/${id}')`)).toContain(`is at member ${nameOf(there)}`)
  })

  test('entities counts and lists the ones of all members', async () => {
    const id = await placedThere()
    const ask = prompt()
    expect(await ask('entities()')).toMatch(/order +1 +0 +0/)
    expect(await ask("entities('order')")).toMatch(new RegExp(`^${id} .*cents: 995`, 'm'))
  })

  test('tree() has the shards of other members as such, and none is down', async () => {
    const { shards } = here.health()
    const text = await prompt()("tree('shards')")
    expect(text).not.toMatch(/\bdown\b/)
    for (const { shard, phase, member } of shards)
      if (phase === 'elsewhere')
        expect(text).toMatch(
          new RegExp(`shard\\(${shard}\\) +- +supervisor +elsewhere: at member ${member}`),
        )
  })

  test('crashes(p) has the stacks of a process that crashed at another member', async () => {
    const fail = (): never => {
      throw new Error('no more')
    }
    const frail: GenServer<{ casts: { fail: () => void } }, number> = {
      init: () => 0,
      casts: { fail },
    }
    recordsOf(there.system)
    cast(await there.system.start(frail, undefined, { label: 'frail' }), 'fail')
    await world.clock.advance(1)
    expect(await prompt()("crashes('app/frail')")).toMatch(
      /^\S+Z frail ended: Error: no more\n {4}at fail \(.*one-instance/,
    )
    expect(await prompt()('crashes()')).toMatch(
      new RegExp(`\\n\\S+Z +1  - +${nameOf(there)} +frail <\\d+> +cast fail +Error: `),
    )
    expect(await prompt()('health()')).toContain(`1 at ${nameOf(there)}`)
    const { elsewhere = [] } = await page().look('overview', {})
    expect(elsewhere).toEqual([
      expect.objectContaining({ sort: 'crash', subject: `${nameOf(there)}: frail` }),
    ])
    expect(await page().head()).toMatchObject({ crashes: 1, areCrashesMore: false })
    // The stack is one click away.
    expect(elsewhere[0]?.text).toMatch(/no more\n {4}at fail \(/)
    expect(await prompt()("crashes('nobody')")).toBe('nobody has not crashed since the start')
  })

  test('name a member that does not answer', async () => {
    const member = nameOf(there)
    const id = await placedThere()
    const ask = prompt()
    world.links.pause(member)
    const found = [
      await ask('wal()'),
      ...[await ask('projections()'), await ask('journal()'), await ask('entities()')],
      await ask(`entity('order/${id}')`),
    ]
    world.links.resume(member)
    for (const text of found) expect(text).toMatch(new RegExp(`member ${member}\\b`))
  })
})

describe('the page', () => {
  test('has a row for each shard as its owner says, and acts on it there', async () => {
    const { look, act } = page()
    const { shards } = await look('storage', {})
    const [{ index = 0 } = {}] = there.shards.filter(({ phase }) => phase.kind === 'open')

    expect(shards.map(({ phase }) => phase)).toEqual(Array(12).fill('open'))
    expect(shards[index]).toMatchObject({ member: nameOf(there), mode: 'following' })
    expect(shards[index]?.snapshotDueBytes).toBeGreaterThan(0)
    for (const action of ['flush', 'snapshot', 'reopen'])
      expect(await act({ act: action, shard: index })).toEqual({ text: expect.any(String) })
  })

  test('says that a shard is elsewhere, with its member, if that does not answer', async () => {
    const member = nameOf(there)
    world.links.pause(member)
    const { shards } = await page().look('storage', {})
    world.links.resume(member)
    const silent = shards.filter((each) => each.member === member)
    expect(silent.length).toBeGreaterThan(0)
    for (const each of silent)
      expect(each).toMatchObject({
        phase: 'elsewhere',
        reason: expect.stringContaining(`member ${member} does not answer: TIMEOUT`),
      })
  })

  test('lists the keys of all members, with their types, and shows a value of another one', async () => {
    const keys = [keyAt(here), keyAt(there)].sort()
    for (const key of keys) await during(here.store.put(key, { of: key }, { ttlMs: 60_000 }))
    const { look } = page()
    const { rows } = await look('store', {})
    const { value } = await look('key', { key: keyAt(there) })

    expect(rows).toEqual(
      keys.map((key) => ({ key, type: 'object of 1', expiresAt: expect.any(Number) })),
    )
    expect(JSON.stringify(value)).toContain(keyAt(there))
  })

  test('shows an entity of another member, and acts on it there', async () => {
    const id = await placedThere()
    const { look, act } = page()
    const shown = await look('entity', { kind: 'order', id })

    expect(shown).toMatchObject({ member: nameOf(there), born: { seq: 1 } })
    expect(JSON.stringify(shown.born?.state)).toContain('995')
    expect(await look('entities', {})).toMatchObject({ kinds: [{ kind: 'order', live: 1 }] })
    expect(await act({ act: 'delete', kind: 'order', id })).toEqual({
      text: expect.stringContaining(`deletes order/${id}`),
    })
    expect(await look('entity', { kind: 'order', id })).not.toHaveProperty('born')
  })

  test('lists the entities in trouble of all members', async () => {
    const id = idAt(there)
    there.entities.kind('order')?.block(id, new KeelsonError('BLOCKED', 'no migrate'))
    const { rows } = await page().look('kind', { kind: 'order', only: 'blocked' })
    expect(rows).toMatchObject([{ id, text: 'no migrate' }])
  })
})
