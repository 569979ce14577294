/** The messages between a parent and the processes of its members, as plain data. Pure. */
import { isKeelsonError } from '../../errors.ts'
import { checkMembersOptions, type MembersOptions } from '../../supervisors/index.ts'

/** From the parent. A member answers `ask` with `alive`. */
export type ToMember = { readonly keelson: 'ask' | 'end' }

/** From a member. */
export type FromMember =
  /** Its event loop moves. `isInspected`: a debugger may hold it up. */
  | { readonly keelson: 'alive'; readonly isInspected: boolean }
  /** It has got the folder. `options`: those of its configuration. */
  | { readonly keelson: 'joined'; readonly options: MembersOptions }
  /** All of it has started. `line`: what the ready line of the command says about it. */
  | { readonly keelson: 'ready'; readonly line: string }
  /** It has judged its actors at rest. `wouldBlock`: the sorts that its build would block. */
  | { readonly keelson: 'judged'; readonly wouldBlock: readonly string[] }

/** The message, if it is one from a parent: programs in a member may have messages of their own. */
export const toMember = (found: unknown): ToMember | undefined => {
  const { keelson } = Object(found)
  return keelson === 'ask' || keelson === 'end' ? { keelson } : undefined
}

/** The message, if it is one from a member. */
export const fromMember = (found: unknown): FromMember | undefined => {
  const { keelson, isInspected, options, line, wouldBlock } = Object(found)
  if (keelson === 'alive') return { keelson, isInspected: isInspected === true }
  if (keelson === 'ready') return { keelson, line: String(line) }
  if (keelson === 'judged' && Array.isArray(wouldBlock))
    return { keelson, wouldBlock: wouldBlock.map(String) }
  const checked = keelson === 'joined' && checkedOptions(options)
  return checked ? { keelson: 'joined', options: checked } : undefined
}

const checkedOptions = (found: object): MembersOptions | undefined => {
  try {
    return checkMembersOptions(found)
  } catch (error) {
    if (isKeelsonError(error, 'CONFIG')) return undefined
    throw error
  }
}
