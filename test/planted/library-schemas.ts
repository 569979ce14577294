/** Types by schemas of three libraries. They are compiled by a test alone: the libraries have large types. */
import { type } from 'arktype'
import * as v from 'valibot'
import { z } from 'zod'
import { flow, queue, workflow } from '../../src/flow/index.ts'
import {
  type App,
  call,
  cast,
  type GenServer,
  type InferInput,
  type InferOutput,
  noReply,
  type Parsed,
  type Ref,
  reply,
} from '../../src/index.ts'

const ofZod = z.object({ cents: z.string().transform(Number) })
const ofValibot = v.object({ cents: v.pipe(v.string(), v.transform(Number)) })
const ofArkType = type({ cents: 'string.numeric.parse' })

export const given: readonly { cents: string }[] = [
  { cents: '1' } satisfies InferInput<typeof ofZod>,
  { cents: '1' } satisfies InferInput<typeof ofValibot>,
  { cents: '1' } satisfies InferInput<typeof ofArkType>,
]
export const made: readonly { cents: number }[] = [
  { cents: 1 } satisfies InferOutput<typeof ofZod>,
  { cents: 1 } satisfies InferOutput<typeof ofValibot>,
  { cents: 1 } satisfies InferOutput<typeof ofArkType>,
]

const byZod = workflow('zod', async (_, { cents }) => cents.toFixed(2), { input: ofZod })
const byValibot = workflow(
  'valibot',
  async (ctx, { cents }) => {
    const more = await ctx.waitFor('more')
    return cents + more.cents
  },
  { input: ofValibot, signals: { more: ofArkType } },
)
const byArkType = queue('arktype', ({ cents }) => cents.toFixed(2), { input: ofArkType })

export const use = async (app: App): Promise<void> => {
  const run = await flow(app).start(byZod, { cents: '1' }, { id: '1' })
  const text: string = await run.result()
  const other = await flow(app).start(byValibot, { cents: '1' }, { id: '1' })
  await other.signal('more', { cents: '1' })
  const sum: number = await other.result()
  await flow(app).add(byArkType, { cents: '1' })
  // @ts-expect-error: the input has a text
  await flow(app).start(byZod, { cents: 1 }, { id: '1' })
  // @ts-expect-error: the input has a text
  await flow(app).start(byValibot, { cents: 1 }, { id: '1' })
  // @ts-expect-error: the signal has a text
  await other.signal('more', { cents: 1 })
  // @ts-expect-error: the job has a text
  await flow(app).add(byArkType, { cents: 1 })
  // @ts-expect-error: the body gets a number
  workflow('odd', async (_, { cents }) => cents.trim(), { input: ofValibot })
  void [text, sum]
}

type Till = {
  calls: { pay: Parsed<typeof ofValibot, number> }
  casts: { note: Parsed<typeof ofArkType>; tell: Parsed<typeof ofZod> }
}

export const till: GenServer<Till, number> = {
  messages: { calls: { pay: ofValibot }, casts: { note: ofArkType, tell: ofZod } },
  init: () => 0,
  calls: { pay: (sum, { cents }) => reply(sum + cents, sum + cents) },
  casts: {
    note: (sum, { cents }) => noReply(sum + cents),
    tell: (sum, { cents }) => noReply(sum + cents),
  },
}

export const send = async (ref: Ref<Till>): Promise<number> => {
  cast(ref, 'note', { cents: '1' })
  cast(ref, 'tell', { cents: '1' })
  // @ts-expect-error: the payload has a text
  cast(ref, 'note', { cents: 1 })
  // @ts-expect-error: the payload has a text
  await call(ref, 'pay', { cents: 1 })
  return call(ref, 'pay', { cents: '1' })
}
