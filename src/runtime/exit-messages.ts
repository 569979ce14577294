/** Exit messages of one process that wait in the mailbox of another, which trapped them. */
import type { Address } from './address.ts'
import { type ExitMessage, kinds, type Message } from './envelope.ts'
import type { ExitReason } from './exit-reason.ts'
import type { Ring } from './ring.ts'

type Sender = { readonly address: Address }
type Holder = { readonly mailbox: Ring<Message> }

/** Removes an exit message of `from`; answers its reason in a list of one, or an empty list. */
export const takeExit = ({ mailbox }: Holder, from: Sender): [] | [ExitReason] => {
  const found = mailbox.remove((message) => isExitOf(message, from))
  return found === undefined ? [] : [(found.payload as ExitMessage).reason]
}

/** Whether an exit message of `from` waits. */
export const hasExit = ({ mailbox }: Holder, from: Sender): boolean => {
  for (let index = 0; index < mailbox.length; index++) {
    const message = mailbox.at(index)
    if (message !== undefined && isExitOf(message, from)) return true
  }
  return false
}

const isExitOf = ({ kind, payload }: Message, { address }: Sender): boolean =>
  kind === kinds.exit && (payload as ExitMessage).from === address
