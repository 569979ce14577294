/** The words of the protocol that several answers have. */

/** A value as the page shows it: at most 6 deep, 200 members, 1,000 characters of a text. */
export type Shown =
  | null
  | boolean
  | number
  | string
  | {
      /** `object`, `array`, `map`, `set` or the name of a class. */
      readonly type: string
      /** How many members it has; not all are shown. */
      readonly size: number
      readonly members: readonly (readonly [key: string, value: Shown])[]
    }
  /** A value that is not looked into: hidden, cut off, too deep, a bigint, a date, a function. */
  | { readonly text: string; readonly isHidden?: boolean }

/** Why a question or an action was refused. */
export type Refusal = { readonly code: string; readonly message: string }

/** A place in the page: a view and what it looks at. */
export type Link = {
  readonly view: string
  readonly parts: readonly string[]
  /** Which part of it: `{ status: 'blocked' }`. */
  readonly query?: Readonly<Record<string, string>>
}

/** An event of the recorder. */
export type Recorded = {
  readonly sort: string
  readonly at: number
  readonly kind: string
  readonly code: string
  readonly subject: string
  readonly pid?: number
  readonly text: string
  readonly reason?: string
  readonly lastMessage?: string
  /** How often it happened, if the event stands for several. It is the last of them. */
  readonly times?: number
  /** The view of its subject. */
  readonly link?: Link
}

/** The name of a durable actor. */
export type EntityName = { readonly kind: string; readonly id: string }

/** A machine and the states that it is in. */
export type Machine = {
  readonly states: readonly {
    readonly path: readonly string[]
    readonly isFinal: boolean
    readonly transitions: readonly {
      readonly event: string
      readonly guard?: string
      readonly to: readonly (readonly string[])[]
    }[]
  }[]
  /** The state value: `paying`, or `{ paying: 'charging' }`. */
  readonly value: unknown
}
