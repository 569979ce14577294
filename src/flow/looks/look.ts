/**
 * A look at durable actors that asks several questions, the later ones by the answers to the earlier.
 * It is written once. `atOnce` asks what is here, within one turn of the event loop; `everywhere`
 * asks the members that have it.
 */
import { elsewhere, fromHere } from '../../actors/index.ts'
import { isKeelsonError } from '../../errors.ts'

/** A question: how it is answered here, and how by the member that has the answer. */
type Question<T> = { readonly here: () => T; readonly there: () => Promise<T> }

/** A look that ends with a `T`. */
export type Look<T> = Generator<Question<unknown>, T, unknown>

/** Asks a question within a look. @throws as it does */
export function* ask<T>(here: () => T, there: () => Promise<T>): Look<T> {
  return (yield { here, there }) as T
}

/** Looks at what is here. @throws KeelsonError `ELSEWHERE` for what another member has */
export const atOnce = <T>(look: Look<T>): T => {
  try {
    let step = look.next()
    while (!step.done) step = answered(look, step.value.here)
    return step.value
  } catch (error) {
    throw namingRead(error)
  }
}

/** The refusal of an entity names what that has, and workflows have `read`. */
const namingRead = (error: unknown): unknown => {
  if (!isKeelsonError(error, 'ELSEWHERE')) return error
  const { shard, member } = error.details
  return elsewhere(shard as number, member as string | undefined, fromHere('`read`'))
}

const answered = <T>(look: Look<T>, here: () => unknown): ReturnType<Look<T>['next']> => {
  let found: unknown
  try {
    found = here()
  } catch (error) {
    return look.throw(error)
  }
  return look.next(found)
}

/** Looks at what all members have. */
export const everywhere = async <T>(look: Look<T>): Promise<T> => {
  let step = look.next()
  while (!step.done) {
    const { there } = step.value
    step = await there().then(
      (found) => look.next(found),
      (error: unknown) => look.throw(error),
    )
  }
  return step.value
}
