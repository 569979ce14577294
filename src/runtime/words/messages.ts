/**
 * The types inside a `Messages` type: the payload of a message, the reply of a call, the continues.
 * Types only.
 */
import type { InferInput, InferOutput, StandardSchema } from '../../schema.ts'

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

declare const parsedBy: unique symbol

/**
 * A message whose payload the schema `S` parses, in a `Messages` type: its senders give what the schema
 * takes, and its handler gets what it makes. `R`: the reply of a call. The server has the schema itself, in
 * its `messages`. `casts: { pay: Parsed<typeof payment> }`
 */
export type Parsed<S extends StandardSchema, R = void> = ((payload: InferInput<S>) => R) & {
  readonly [parsedBy]: S
}

/** The schema of a message; `never` without one. */
export type SchemaOf<F> = F extends { readonly [parsedBy]: infer S } ? S : never

/** The names of a section whose payloads a schema parses. */
export type ParsedIn<Sent> = {
  [N in keyof Sent]: Sent[N] extends { readonly [parsedBy]: unknown } ? N : never
}[keyof Sent]

/** The payload of a message as its sender gives it; `undefined` if it has none. */
export type GivenOf<F> = ParametersOf<F>[0]
/** The payload of a message as its handler gets it; `undefined` if it has none. */
export type PayloadOf<F> = F extends { readonly [parsedBy]: unknown }
  ? InferOutput<SchemaOf<F>>
  : ParametersOf<F>[0]
/** The reply of a call. */
export type ReplyOf<F> = F extends (...parameters: never[]) => infer R ? R : never

/**
 * The arguments after a message's name: its payload, if it has one, and the rest of the function's.
 */
export type With<F, Rest extends unknown[] = []> =
  ParametersOf<F> extends []
    ? [payload?: undefined, ...rest: Rest]
    : ParametersOf<F> extends [unknown]
      ? [payload: GivenOf<F>, ...rest: Rest]
      : [payload?: GivenOf<F>, ...rest: Rest]

/** The names of the messages of a section. */
export type NameIn<S> = keyof S & string

/** `[name, payload]` of each continue of `M`. */
export type ContinueOf<M> = {
  [N in NameIn<ContinuesOf<M>>]: ParametersOf<ContinuesOf<M>[N]> extends []
    ? readonly [N]
    : readonly [N, GivenOf<ContinuesOf<M>[N]>]
}[NameIn<ContinuesOf<M>>]
