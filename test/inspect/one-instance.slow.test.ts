/**
 * Members are one instance: prompt and page of any of them answer for all, and
 * name the member that does not answer.
 */
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { severities, type TroubleKind } from '../../src/inspect/answers/troubles.ts'
import { answerPages, Observer } from '../../src/inspect/observe/observer.ts'
import { promptWords } from '../../src/inspect/prompt/prompt-words.ts'
import { LocalSession } from '../../src/inspect/prompt/session.ts'
import { plainPaint } from '../../src/inspect/text/paint.ts'
import type { Views } from '../../src/observe/index.ts'
import { type App, innerParts } from '../../src/supervisors/index.ts'
import { FolderMembers } from '../support/worlds/folder-members.ts'
import { plants } from '../support/worlds/planted-troubles.ts'

let world: FolderMembers
/** The member that is asked, and another one. */
let [here, there]: [App, App] = [] as never
const during = <T>(work: Promise<T>): Promise<T> => world.during(work)
const nameOf = (app: App): string => app[innerParts].questions?.member ?? ''

beforeEach(async () => {
  world = new FolderMembers(['a', 'b', 'c'])
  ;[here, there] = (await world.start(undefined, () => ({ shards: 12 }))) as [App, App]
  for (const app of [here, there]) answerPages(app)
})

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

  test('of a member asks the others, who ask nobody', async () => {
    const asked: string[] = []
    for (const name of ['a', 'b', 'c']) here[innerParts].questions?.answer(name, () => undefined)
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
      new RegExp(`^warning: member away, member ${nameOf(there)}: it does not answer: TIMEOUT`),
    )
    expect(troubles).toContainEqual(
      expect.objectContaining({ kind: 'member away', subject: `member ${nameOf(there)}` }),
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
    const { questions } = there[innerParts]
    questions?.answer('health', () => ({ since: 1, health: { shards: 'all of them' } }))
    expect(await prompt()('health()')).toContain('its report cannot be read here')
  })
})

test.each(Object.keys(plants) as TroubleKind[])(
  'a trouble of the kind %s at another member is in health(), at the prompt and on the page, with the member',
  async (kind) => {
    const { questions } = there[innerParts]
    const health = plants[kind](there.health())
    questions?.answer('health', () => ({ since: 1, health }))
    const ask = prompt()
    const text = await ask('health()')
    const data = await ask("health().troubles.map(({ kind, member }) => kind + ' at ' + member)")
    const { troubles } = await page().look('overview', {})
    const member = nameOf(there)

    expect(text.split('\n\n')[0]).toMatch(
      new RegExp(`^${severities[kind]}: ${kind}, .* at member ${member}`),
    )
    expect(data).toContain(`'${kind} at ${member}'`)
    expect(troubles.length).toBeGreaterThan(0)
    for (const each of troubles) expect(each).toMatchObject({ kind, member })
  },
)
