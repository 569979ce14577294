/** Steps of durable actors that run now. A process says only that it runs one; the rows say which. */
import { surveyEntity } from '../../actors/index.ts'
import type { ProcessSummary } from '../../runtime/index.ts'
import type { App } from '../../supervisors/index.ts'
import { type NamedEntity, namedEntity } from './process-finder.ts'

/** A step that runs, and since when. */
export type RunningStep = NamedEntity & { readonly step: string; readonly since: number }

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
