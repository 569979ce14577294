/** The messages of a probe: their types, and their text in errors. */
import {
  type CallsOf,
  type CastsOf,
  describeReason,
  type From,
  type GivenOf,
  type InfosOf,
  type Messages,
  type Received,
  type ReplyOf,
} from '../../runtime/index.ts'

type Delivered<Kind, Sent> = {
  [N in keyof Sent]: {
    readonly kind: Kind
    readonly name: N
    readonly payload: GivenOf<Sent[N]>
  }
}[keyof Sent]

type Asked<Calls> = {
  [N in keyof Calls]: {
    readonly kind: 'call'
    readonly name: N
    readonly payload: GivenOf<Calls[N]>
    /** Answers the call. The probe does not answer by itself. */
    readonly from: From<ReplyOf<Calls[N]>>
  }
}[keyof Calls]

/**
 * A message to a probe of `M`, distinguished by `kind`, then by `name`. Without `M`, any message.
 */
export type ReceivedBy<M> = Messages extends M
  ? Received
  :
      | Asked<CallsOf<M>>
      | Delivered<'cast', CastsOf<M>>
      | Delivered<'info', InfosOf<M>>
      | Extract<Received, { kind: 'exit' | 'down' }>

/** The message in one line: `cast done 7`, `exit <3> killed`. */
export const describeReceived = (received: Received): string => {
  switch (received.kind) {
    case 'exit':
      return `exit ${received.from} ${describeReason(received.reason)}`
    case 'down':
      return `down ${received.target} ${describeReason(received.reason)}`
    default: {
      const { kind, name, payload } = received
      return payload === undefined
        ? `${kind} ${name}`
        : `${kind} ${name} ${describeReason(payload)}`
    }
  }
}
