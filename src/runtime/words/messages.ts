/**
 * The types inside a `Messages` type: the payload of a message, the reply of a call, the continues.
 * Types only.
 */

/** One section of `M`, empty when `M` has none. */
export type Section<M, K extends string> = M extends { readonly [P in K]: infer S } ? S : Empty
// biome-ignore lint/complexity/noBannedTypes: the type without keys is meant: what is not declared cannot be sent.
type Empty = {}

/** The calls of `M`. */
export type CallsOf<M> = Section<M, 'calls'>
/** The casts of `M`. */
export type CastsOf<M> = Section<M, 'casts'>
/** The infos of `M`. */
export type InfosOf<M> = Section<M, 'infos'>
/** The continues of `M`. */
export type ContinuesOf<M> = Section<M, 'continues'>

type ParametersOf<F> = F extends (...parameters: infer P) => unknown ? P : []

/** The payload of a message; `undefined` if it has none. */
export type PayloadOf<F> = ParametersOf<F>[0]
/** The reply of a call. */
export type ReplyOf<F> = F extends (...parameters: never[]) => infer R ? R : never

/**
 * The arguments after a message's name: its payload, if it has one, and the rest of the function's.
 */
export type With<F, Rest extends unknown[] = []> =
  ParametersOf<F> extends []
    ? [payload?: undefined, ...rest: Rest]
    : ParametersOf<F> extends [unknown]
      ? [payload: PayloadOf<F>, ...rest: Rest]
      : [payload?: PayloadOf<F>, ...rest: Rest]

/** The names of the messages of a section. */
export type NameIn<S> = keyof S & string

/** `[name, payload]` of each continue of `M`. */
export type ContinueOf<M> = {
  [N in NameIn<ContinuesOf<M>>]: ParametersOf<ContinuesOf<M>[N]> extends []
    ? readonly [N]
    : readonly [N, PayloadOf<ContinuesOf<M>[N]>]
}[NameIn<ContinuesOf<M>>]
