/** Streams that steps write: what a further try, and a try of a killed process, leaves in them. */
import { describe, expect, test } from 'vitest'
import {
  type Ctx,
  type StepStream,
  type StepStreamOptions,
  type StepTry,
  workflow,
} from '../../../src/flow/index.ts'
import { entityStream } from '../../../src/storage/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

type World = Awaited<ReturnType<typeof flowWorld>>

const quick = { retry: { max: 3, baseMs: 10 } }

/** A workflow of one step, which is `say`. */
const saying = (say: (attempt: StepTry) => unknown, options: object = quick) =>
  workflow('saying', async (ctx: Ctx) => {
    ctx.stream('out').append('begin')
    const value = await ctx.step('say', say, options)
    ctx.stream('out').append('end')
    return value
  })

const ran = async (say: (attempt: StepTry) => unknown, options?: object) => {
  const type = saying(say, options)
  const w = await flowWorld([type])
  const run = await w.during(w.flow.start(type, undefined, { id: '1' }))
  const end = await w.during(run.result().catch((error) => error))
  return { w, run, end, said: await saidIn(w, type) }
}

const saidIn = async (w: World, type: ReturnType<typeof saying>): Promise<readonly unknown[]> => {
  const { messages } = await w.during(w.flow.handle(type, '1').stream('out').page())
  return messages.map(({ value }) => value)
}

/** Says these messages, and fails after them in the first tries. */
const failingAfter =
  (texts: readonly string[], tries: number, options?: StepStreamOptions) =>
  async ({ stream, attempt }: StepTry): Promise<string> => {
    const out = await stream('out', options)
    for (const text of texts) await out.append(`${text}`)
    if (attempt <= tries) throw new Error('not yet')
    return 'said'
  }

describe('a step', () => {
  test('has its messages between those of its body, before its outcome', async () => {
    const { said, end, run, w } = await ran(async ({ stream }) => {
      const out = await stream('out')
      for (const each of ['a', 'b', 'c']) void out.append(each)
      return 1
    })
    expect([said, end]).toEqual([['begin', 'a', 'b', 'c', 'end'], 1])
    expect(await w.during(run.stream('out').head())).toMatchObject({ isClosed: true })
  })

  test("that is tried again says each message once with 'same'", { tags: ['ST3'] }, async () => {
    const { said, end } = await ran(failingAfter(['a', 'b'], 2))
    expect([said, end]).toEqual([['begin', 'a', 'b', 'end'], 'said'])
  })

  test("answers a repeat with 'same' with the offset that the message has", async () => {
    const offsets: string[][] = []
    await ran(async ({ stream, attempt }) => {
      const out = await stream('out')
      offsets.push(await Promise.all(['a', 'b'].map((text) => out.append(text))))
      if (attempt === 1) throw new Error('not yet')
    })
    expect(offsets[1]).toEqual(offsets[0])
  })

  test("that says something else with 'same' is CONFLICT, and not tried again", async () => {
    let tries = 0
    const { said, end } = await ran(async ({ stream, attempt }) => {
      tries++
      await (await stream('out')).append(attempt)
      if (attempt === 1) throw new Error('not yet')
    })
    expect(end).toMatchObject({ code: 'FAILED', cause: { code: 'CONFLICT' } })
    expect([said, tries]).toEqual([['begin', 1], 2])
  })

  test("goes on after what earlier tries left with 'continue'", { tags: ['ST3'] }, async () => {
    const sentence = ['the', 'quick', 'fox', 'ran']
    const seen: unknown[] = []
    const { said } = await ran(async ({ stream, attempt }) => {
      const out = await stream<string>('out', { retry: 'continue' })
      const sent = await out.sent()
      seen.push(sent)
      for (const word of sentence.slice(sent.length)) {
        await out.append(word)
        if (attempt < 3 && word === sentence[attempt]) throw new Error('cut')
      }
    })
    expect(said).toEqual(['begin', ...sentence, 'end'])
    expect(seen).toEqual([[], ['the', 'quick'], ['the', 'quick', 'fox']])
  })

  test('says a marker before it says everything again', { tags: ['ST3'] }, async () => {
    const marker = (attempt: number) => ({ again: attempt })
    const { said } = await ran(failingAfter(['a', 'b'], 1, { retry: marker }))
    expect(said).toEqual(['begin', 'a', 'b', { again: 2 }, 'a', 'b', 'end'])
  })

  test('appends nothing once its try is over', { tags: ['ST5'] }, async () => {
    const late: { out?: StepStream; code?: unknown } = {}
    const { said, w } = await ran(
      async ({ stream, attempt, signal }) => {
        const out = await stream('out', { retry: 'continue' })
        if (attempt > 1) return out.append('second')
        late.out = out
        await out.append('first')
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        return new Promise(() => undefined)
      },
      { ...quick, timeout: '1s' },
    )
    expect(said).toEqual(['begin', 'first', 'second', 'end'])
    const appended = late.out?.append('late') as Promise<unknown>
    expect(await w.during(codeOf(appended))).toBe('EXITED')
  })

  test('fails with an append that failed, though nobody waited for it', async () => {
    const { end } = await ran(async ({ stream }) => void (await stream('out')).append(1n), {
      retry: { max: 1 },
    })
    expect(end).toMatchObject({ code: 'FAILED', cause: { code: 'INVALID_ARGUMENT' } })
  })

  test('is forgotten with its value, and kept while it may be tried again', async () => {
    let late: StepStream<string> | undefined
    const type = workflow('many', async (ctx: Ctx) => {
      for (const name of ['a', 'b', 'c'])
        await ctx.step(name, async ({ stream }) => {
          late = await stream<string>('out')
          await late.append(name)
        })
      await ctx.step('fails', failingAfter(['f'], 9), { retry: { max: 1 } }).catch(() => undefined)
      return ctx.sleep('rest', 60_000)
    })
    const w = await flowWorld([type])
    await w.during(w.flow.start(type, undefined, { id: '1' }))
    await w.s.advance(10_000)
    const owner = entityStream('$flow-many/1', 'out')
    const head = await w.during(w.s.app.streams.raw().head(owner))
    expect(head).toMatchObject({ next: 4, producers: 1 })
    expect(await w.during(codeOf(late?.append('late') as Promise<unknown>))).toBe('EXITED')
  })

  test('is forgotten when its key never comes again: by `again`, and by a retry with new keys', async () => {
    const fails = { retry: { max: 1 } }
    const type = workflow('laps', async (ctx: Ctx, lap: number) => {
      await ctx.step('undone', failingAfter(['u'], 0), { undo: () => undefined })
      await ctx.step('fails', failingAfter([`${lap}`], 9), fails).catch(() => undefined)
      if (lap < 3) ctx.again(lap + 1)
      await ctx.step('fails too', failingAfter([`${lap}`], 9), fails)
    })
    const w = await flowWorld([type])
    const run = await w.during(w.flow.start(type, 1, { id: '1' }))
    const producers = async () => (await w.during(w.s.app.streams.raw().head(owner)))?.producers
    const owner = entityStream('$flow-laps/1', 'out')
    await w.during(codeOf(run.result()))
    expect(await producers()).toBe(2)
    await w.during(w.flow.retry(type, '1'))
    await w.during(codeOf(run.result()))
    expect(await producers()).toBe(1)
    await w.during(w.flow.retry(type, '1', { from: 'fails' }))
    await w.during(codeOf(run.result()))
    expect(await producers()).toBe(2)
  })

  test('knows its messages among those of other steps', { tags: ['ST3'] }, async () => {
    const words = (name: string) => Array.from({ length: 20 }, (_, at) => `${name}${at}`)
    const type = workflow('both', async (ctx: Ctx) => {
      const speaks = (name: string) => async (own: Ctx) =>
        own.step(
          name,
          async ({ stream, attempt }) => {
            const out = await stream<string>('out', { retry: 'continue' })
            const sent = await out.sent()
            expect(sent).toEqual(words(name).slice(0, sent.length))
            for (const word of words(name).slice(sent.length)) {
              await out.append(word)
              if (sent.length < 15 && word === words(name)[5 * attempt]) throw new Error('cut')
            }
          },
          { retry: { max: 5, baseMs: 1 } },
        )
      await ctx.all('all', [speaks('a') as never, speaks('b') as never])
    })
    const w = await flowWorld([type])
    const run = await w.during(w.flow.start(type, undefined, { id: '1' }))
    await w.during(run.result())
    const { messages } = await w.during(run.stream('out').page())
    const said = messages.map(({ value }) => `${value}`)
    for (const name of ['a', 'b'])
      expect(said.filter((word) => word.startsWith(name))).toEqual(words(name))
    expect(said).toHaveLength(40)
  })
})

describe('a process that is killed in the middle of a step', () => {
  test.each(['crash', 'powerCut'] as const)(
    'leaves what was said, and the step goes on after it: %s',
    async (end) => {
      const sentence = Array.from({ length: 12 }, (_, at) => `word ${at}`)
      const lives: StepStream<string>[] = []
      let life = 0
      const type = saying(async ({ stream }) => {
        const out = await stream<string>('out', { retry: 'continue' })
        lives.push(out as StepStream<string>)
        const sent = await out.sent()
        const last = sent.length + 3
        const mine = ++life
        for (const word of sentence.slice(sent.length, mine < 4 ? last : undefined))
          await out.append(word)
        if (mine < 4) await new Promise(() => undefined)
        return sent.length
      })
      const w = await flowWorld([type])
      await w.during(w.flow.start(type, undefined, { id: '1' }))
      for (const _ of [1, 2, 3]) {
        await w.s.advance(1_000)
        await w[end]([type])
      }
      const output = await w.during(w.flow.handle(type, '1').result())
      expect([output, await saidIn(w, type)]).toEqual([9, ['begin', ...sentence, 'end']])
      for (const out of lives.slice(0, 3))
        expect(await w.during(codeOf(out.append('late')))).not.toBe('ok')
      expect(await saidIn(w, type)).toHaveLength(14)
    },
  )
})
