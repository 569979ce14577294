/**
 * Random bodies of workflows: a plan is data, which one workflow carries out, so that a run takes it
 * as its input. `expected` says how a run of a plan ends whose end depends on no race.
 */
import { type Ctx, type Try, type Workflow, workflow } from '../../../src/flow/index.ts'

/** One operation of a plan, or branches of them. */
export type Part =
  | {
      readonly kind: 'step'
      readonly key: string
      /** How many tries fail; with as many as `max` the step fails. */
      readonly fails: number
      readonly max: number
      readonly lastsMs: number
      readonly isOnce: boolean
      readonly hasUndo: boolean
      readonly isCaught: boolean
    }
  | { readonly kind: 'sleep'; readonly key: string; readonly ms: number }
  /** Sets an attribute of its run, or removes it. */
  | { readonly kind: 'mark'; readonly key: string; readonly to: 'a' | 'b' | null }
  | { readonly kind: 'wait'; readonly key: string; readonly timeoutMs: number | undefined }
  | {
      readonly kind: 'child'
      readonly key: string
      readonly plan: Plan
      readonly isCaught: boolean
    }
  | {
      readonly kind: 'all'
      readonly key: string
      readonly branches: readonly (readonly Part[])[]
      readonly wait: 'all' | 'any'
      readonly onFailure: 'fail' | 'collect'
    }

/** The body of a run. */
export type Plan = {
  readonly parts: readonly Part[]
  /** The last thing: an output, an error, or the body once more with another plan. */
  readonly end: 'output' | 'error' | { readonly again: Plan }
  /** Whether it takes updates. */
  readonly takes: boolean
}

type Step = Extract<Part, { readonly kind: 'step' }>

/** The world outside of the workflows, which sees what bodies and steps do. */
export interface PlanWorld {
  /** The body of a run asks for a step. */
  asks(run: string, key: string): unknown
  /** A try runs. Resolves with its value, or rejects. */
  tries(run: string, step: Step, attempt: Try): Promise<string>
  undoes(run: string, key: string): unknown
  /** The body has got an outcome. */
  gets(run: string, key: string, outcome: string): unknown
  /** The body asks for a sleep, and has it behind it. */
  sleeps(run: string, key: string): unknown
  wakes(run: string, key: string, ms: number): unknown
  /** The body begins. */
  begins(run: string, plan: Plan): unknown
}

/** The workflow that carries plans out. */
export type Drawn = Workflow<Plan, string, { go: number }, unknown, Updates>

/** The updates of a plan have numbers, and their answers too. */
type Updates = { tell: (number: number) => string }

/** Lives are longer than days: retention would take their ends away. */
const keep = { completed: '9999d', failed: '9999d', cancelled: '9999d' } as const

type DrawnCtx = Ctx<{ go: number }, Updates>

/** A workflow that carries plans out, in this world. */
export const drawnWorkflow = (world: PlanWorld): Drawn => {
  const drawn: Drawn = workflow(
    'drawn',
    async (ctx: DrawnCtx, plan: Plan) => {
      world.begins(ctx.id, plan)
      if (plan.takes)
        ctx.onUpdate('tell', (number) => {
          world.gets(ctx.id, 'tell', `tell=${number}`)
          return `told ${number}`
        })
      const output = await sequence(ctx, '', plan.parts)
      if (plan.end === 'error') throw new Error('the plan says so')
      if (plan.end === 'output') return output
      return ctx.again(plan.end.again)
    },
    { keep },
  )

  const sequence = async (ctx: DrawnCtx, at: string, parts: readonly Part[]): Promise<string> => {
    const seen: string[] = []
    for (const part of parts) seen.push(await one(ctx, at, part))
    return seen.join(' ')
  }

  const one = async (ctx: DrawnCtx, at: string, part: Part): Promise<string> => {
    const key = at + part.key
    const got = (outcome: string): string => {
      world.gets(ctx.id, key, outcome)
      return outcome
    }
    const isCaught = 'isCaught' in part && part.isCaught
    try {
      return got(`${key}=${await outcomeOf(ctx, at, part)}`)
    } catch (error) {
      const { code = 'Error' } = error as { readonly code?: string }
      got(`${key}!${code}`)
      if (!isCaught || code === 'CANCELLED') throw error
      return `${key}!`
    }
  }

  const outcomeOf = async (ctx: DrawnCtx, at: string, part: Part): Promise<unknown> => {
    const key = at + part.key
    if (part.kind === 'step') {
      const retry = { max: part.max, baseMs: 100, maxMs: 1_000 }
      const options = part.isOnce ? ({ repeat: 'once' } as const) : { retry }
      world.asks(ctx.id, key)
      return await ctx.step(part.key, (attempt) => world.tries(ctx.id, part, attempt), {
        ...options,
        ...(part.hasUndo && { undo: (did: { key: string }) => world.undoes(ctx.id, did.key) }),
      })
    }
    if (part.kind === 'sleep') {
      world.sleeps(ctx.id, key)
      await ctx.sleep(part.key, part.ms)
      world.wakes(ctx.id, key, part.ms)
      return `${part.ms}`
    }
    if (part.kind === 'wait') {
      const { timeoutMs: timeout } = part
      return timeout === undefined
        ? await ctx.waitFor('go', { key: part.key })
        : await ctx.waitFor('go', { key: part.key, timeout })
    }
    if (part.kind === 'mark') {
      await ctx.attributes({ mark: part.to })
      return `${part.to}`
    }
    if (part.kind === 'child') return await ctx.child(part.key, drawn, part.plan)
    const branches = part.branches.map(
      (parts, index) => (own: DrawnCtx) => sequence(own, `${key}/${index}/`, parts),
    )
    const { wait, onFailure } = part
    const ends = await ctx.all(part.key, branches, { wait, onFailure })
    return ends.map((end) => (end.ok ? `(${end.value})` : '-')).join('')
  }

  return drawn
}

/** Whether the end of a plan depends on time or on races. */
export const isRacy = ({ parts, end }: Plan): boolean =>
  parts.some(isRacyPart) || (typeof end === 'object' && isRacy(end.again))

const isRacyPart = (part: Part): boolean => {
  if (part.kind === 'wait') return part.timeoutMs !== undefined
  if (part.kind === 'child') return isRacy(part.plan)
  if (part.kind !== 'all') return false
  const isFailing = part.branches.flat().some((each) => !isCertain(each))
  const isShort = part.wait === 'any' || (part.onFailure === 'fail' && isFailing)
  return isShort || part.branches.flat().some((each) => isRacyPart(each) || each.kind === 'wait')
}

/** Whether a part cannot fail. */
const isCertain = (part: Part): boolean => {
  if (part.kind === 'step') return part.isCaught || !failsAtLast(part)
  if (part.kind === 'child') return part.isCaught || expected(part.plan) === 'completed'
  return part.kind !== 'all' || part.branches.flat().every(isCertain)
}

const failsAtLast = ({ fails, max, isOnce }: Step): boolean => fails >= (isOnce ? 1 : max)

/**
 * The attribute that an undisturbed run has after its end; `'any'`: it depends on races. A run that begins
 * again keeps its attributes.
 */
export const lastMark = ({ parts, end }: Plan, before?: string): string | undefined => {
  const isHidden = (part: Part): boolean =>
    part.kind === 'all' &&
    part.branches.flat().some((each) => each.kind === 'mark' || isHidden(each))
  if (parts.some(isHidden)) return 'any'
  let mark = before
  for (const part of parts) {
    if (part.kind === 'mark') mark = part.to ?? undefined
    // Its body has ended there.
    else if (!isCertain(part)) return mark
  }
  return typeof end === 'object' ? lastMark(end.again, mark) : mark
}

/** The end of an undisturbed run of a plan that is not racy. */
export const expected = ({ parts, end }: Plan): 'completed' | 'failed' => {
  const fails = (part: Part): boolean =>
    part.kind === 'all'
      ? part.onFailure === 'fail' && part.branches.flat().some(fails)
      : !isCertain(part)
  if (parts.some(fails)) return 'failed'
  if (typeof end === 'object') return expected(end.again)
  return end === 'error' ? 'failed' : 'completed'
}

/** A plan, drawn with this chance. */
export const drawnPlan = (random: () => number, depth = 0): Plan => {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  let keys = 0
  const kinds = ['step', 'step', 'step', 'step', 'sleep', 'wait', 'all', 'child', 'mark'] as const
  const part = (deep: number): Part => {
    const kind = pick(kinds)
    const key = `${kind}${keys++}`
    if (kind === 'sleep') return { kind, key, ms: pick([0, 50, 3_000, 86_400_000]) }
    if (kind === 'mark') return { kind, key, to: pick(['a', 'b', null]) }
    if (kind === 'wait') return { kind, key, timeoutMs: pick([undefined, 500, 60_000]) }
    if (kind === 'child' && deep < 2)
      return { kind, key, plan: drawnPlan(random, deep + 1), isCaught: random() < 0.5 }
    if (kind === 'all' && deep < 2) {
      const branches = Array.from({ length: pick([0, 1, 2, 3]) }, () => some(deep + 1))
      const choices = { wait: pick(['all', 'all', 'any']), onFailure: pick(['fail', 'collect']) }
      return { kind, key, branches, ...(choices as { wait: 'all'; onFailure: 'fail' }) }
    }
    const max = pick([1, 2, 3])
    const fails = pick([0, 0, 0, 0, 1, 1, 2, 9])
    const flags = { isOnce: random() < 0.15, hasUndo: random() < 0.6, isCaught: random() < 0.3 }
    return { kind: 'step', key, fails, max, lastsMs: pick([0, 0, 1, 40, 2_000]), ...flags }
  }
  const some = (deep: number): Part[] => Array.from({ length: pick([1, 2, 3]) }, () => part(deep))
  const parts = [...some(depth), ...(depth === 0 ? some(depth) : [])]
  const takes = random() < 0.4
  const chance = random()
  if (chance < 0.15) return { parts, takes, end: 'error' }
  return chance < 0.22 && depth < 2
    ? { parts, takes, end: { again: drawnPlan(random, depth + 2) } }
    : { parts, takes, end: 'output' }
}
