/**
 * Handlers that run now. Of a durable actor its process says only that it runs a step; the rows say
 * which.
 */
import { surveyEntity } from '../../actors/index.ts'
import type { Overview } from '../../observe/index.ts'
import type { ProcessSummary } from '../../runtime/index.ts'
import type { App } from '../../supervisors/index.ts'
import { calledOf, type NamedEntity, namedEntity } from '../answers/process-finder.ts'
import { processPages } from '../answers/process-pages.ts'
import { isPending } from '../answers/process-times.ts'
import { shortText } from '../text/shown-text.ts'

/** A step that runs, and since when. */
type RunningStep = NamedEntity & { readonly step: string; readonly since: number }

type Handling = Pick<ProcessSummary, 'name' | 'label' | 'handling'>

const stepMessage = 'continue $step'

/** The step that the process of a durable actor runs; `undefined`: it runs none. */
export const runningStep = (
  app: App,
  { name, label, handling }: Handling,
): RunningStep | undefined => {
  if (handling?.message !== stepMessage) return undefined
  const entity = namedEntity(app, name ?? label)
  if (!entity) return undefined
  const { since } = handling
  // The first step that might begin then, as the actor chooses it.
  const begun = stepsOf(app, entity).find(
    ({ notBefore, failure }) => notBefore <= since && failure?.next !== 'unblock',
  )
  return begun && { ...entity, step: begun.name, since }
}

/** The message or the step that the process handles, in words. */
export const handledText = (app: App, process: Handling): string => {
  const running = runningStep(app, process)
  return running ? `step ${running.step}` : (process.handling?.message ?? '')
}

const stepsOf = (app: App, { kind, id }: NamedEntity) => {
  try {
    return surveyEntity(app.entities, `${kind}/${id}`)?.steps ?? []
  } catch {
    // A damaged row, or a shard that is down, is reported apart.
    return []
  }
}

const pendingMax = 10
const nameMax = 300

/** The handlers that have run for more than a second, the longest first. */
export const pendingHandlers = async (app: App): Promise<Overview['pending']> => {
  let pending: ProcessSummary[] = []
  for await (const page of processPages(app.system)) {
    const now = app.system.clock.now()
    const late = page.filter((process) => isPending(process, now))
    if (late.length > 0) pending = [...pending, ...late].sort(bySince).slice(0, pendingMax)
  }
  return pending.map((process) => ({
    pid: process.pid,
    name: shortText(calledOf(process), nameMax),
    message: shortText(handledText(app, process), nameMax),
    since: process.handling?.since ?? 0,
  }))
}

const bySince = (left: ProcessSummary, right: ProcessSummary): number =>
  (left.handling?.since ?? 0) - (right.handling?.since ?? 0)
