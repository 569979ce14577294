/** Schemas of a new program, by what the program itself gives them: the inputs of children and of schedules. */
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Ctx, flow, flows, schedule, workflow } from '../../../src/flow/index.ts'
import { supervisor } from '../../../src/index.ts'
import { rehearse } from '../../../src/testing/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Go = { go: undefined }

/** A parent that waits for a child with the input `5`, and for a signal too, if `waits`. */
const families = (input: z.ZodType<string>, waits: boolean) => {
  const child = workflow('child', async (ctx: Ctx<Go>, _: string) => ctx.waitFor('go'), { input })
  const parent = workflow('parent', async (ctx: Ctx<Go>) => {
    const ends = [ctx.child('one', child, '5', { id: 'c' })]
    await Promise.all(waits ? [...ends, ctx.waitFor('go')] : ends)
  })
  return { child, parent, app: supervisor('app', {}, [flows({ workflows: [child, parent] })]) }
}

const loose = z.string()
const strict = z.string().min(3)

const judgedFamily = async (waits: boolean) => {
  const { app, parent } = families(loose, waits)
  const s = await simulated({ app })
  await s.during(flow(s.app).start(parent, undefined, { id: '1' }))
  await s.advance(5_000)
  const after = families(strict, waits)
  const { findings } = await s.during(rehearse({ from: s.app, app: after.app }))
  const same = await s.during(rehearse({ from: s.app, app }))
  expect(same.findings).toEqual([])
  await s.kill()
  await s.start({ app: after.app })
  const woken = flow(s.app).handle(waits ? after.parent : after.child, waits ? '1' : 'c')
  await s.during(woken.signal('go', undefined))
  await s.advance(60_000)
  const look = await s.during(flow(s.app).read('get', after.parent, '1'))
  return { findings, status: [look?.status, look?.error?.code] }
}

describe('a child whose schema refuses the input that it began with', () => {
  test('blocks its parent when that wakes before the end of the child', {
    tags: ['RE4'],
  }, async () => {
    const { findings, status } = await judgedFamily(true)

    expect(findings).toMatchObject([
      { level: 'blocks', what: 'INVALID_ARGUMENT', kind: 'workflow parent', count: 1 },
    ])
    expect(findings[0]?.examples[0]?.reason).toMatch(/^the input of the child one: /)
    expect(status).toEqual(['blocked', 'INVALID_ARGUMENT'])
  })

  test('stops nothing if its parent waits for it alone, and wakes with its end', async () => {
    const { findings, status } = await judgedFamily(false)

    expect([findings, status]).toEqual([[], ['completed', undefined]])
  })
})

/** Schedules of the tree and made at run time, of a workflow with this schema. */
const nights = (input: z.ZodType<object>) => {
  const night = workflow('night', async () => undefined, { input } as never)
  const nightly = schedule('nightly', '* * * * *', night as never)
  const parts = { workflows: [night], schedules: [nightly] }
  return { night, app: supervisor('app', {}, [flows(parts)]) }
}
const timed = z.looseObject({ at: z.number() })
const named = z.looseObject({ name: z.string() })

describe('a schedule whose workflow has a schema', () => {
  const written = async () => {
    const { app, night } = nights(timed)
    const s = await simulated({ app })
    const { schedules } = flow(s.app)
    await s.during(schedules.create('made', '* * * * *', night as never))
    await s.during(
      schedules.create(
        'own',
        '* * * * *',
        night as never,
        { input: { at: 1, name: 'x' } } as never,
      ),
    )
    await s.advance(5_000)
    return s
  }

  test('starts nothing if the schema refuses its time, and the finding says so', {
    tags: ['RE4'],
  }, async () => {
    const s = await written()
    const { app } = nights(named)

    const { findings } = await s.during(rehearse({ from: s.app, app }))

    expect(findings.map(({ level, what, kind }) => [level, what, kind])).toEqual([
      ['blocks', 'INVALID_ARGUMENT', 'schedule made'],
      ['blocks', 'INVALID_ARGUMENT', 'schedule nightly'],
    ])
    expect(findings[0]?.examples[0]?.reason).toMatch(/^its runs of night get \{ at \}: .*name/)
    await s.kill()
    await s.start({ app })
    await s.advance(120_000)
    const failing = s.app.health().actors.failing.first.map(({ entity }) => entity)
    expect([...new Set(failing)].sort()).toEqual([
      '$made-schedules/made',
      '$schedule-nightly/schedule',
    ])
  })

  test('is no finding for the schema that it was written under, nor is one that is paused', {
    tags: ['RE3'],
  }, async () => {
    const s = await written()
    const same = await s.during(rehearse({ from: s.app, app: nights(timed).app }))
    const { schedules } = flow(s.app)
    await s.during(schedules.pause('made'))
    await s.during(schedules.pause('nightly'))

    const paused = await s.during(rehearse({ from: s.app, app: nights(named).app }))

    expect([same.findings, paused.findings]).toEqual([[], []])
  })

  test('is judged before it was ever stored', async () => {
    const s = await simulated({ app: supervisor('app', {}, []) })

    const { findings } = await s.during(rehearse({ from: s.app, app: nights(named).app }))

    expect(findings.map(({ what, kind }) => [what, kind])).toEqual([
      ['INVALID_ARGUMENT', 'schedule nightly'],
    ])
  })
})
