/**
 * The schemas of a server's messages: `messages: { calls: { pay: schema } }`. A payload is parsed once, by
 * the process that handles it, when it takes the message, and the handler gets what the schema makes: members
 * may run different programs, and the owner decides. Its continues and alarms are not parsed.
 */
import { below, checkNames, object, optional, type Place, recordOf } from '../../check.ts'
import { type Table, tableOf } from '../../own-names.ts'
import { type Parse, type StandardSchema, schema } from '../../schema.ts'
import type {
  CallsOf,
  CastsOf,
  GivenOf,
  InfosOf,
  ParsedIn,
  PayloadOf,
  SchemaOf,
} from '../words/messages.ts'

/** The schemas of a section: one of each message that is `Parsed`, and of others if they keep its type. */
type SchemasIn<Sent> = { readonly [N in ParsedIn<Sent>]: SchemaOf<Sent[N]> } & {
  readonly [N in Exclude<keyof Sent, ParsedIn<Sent>>]?: StandardSchema<
    GivenOf<Sent[N]>,
    PayloadOf<Sent[N]>
  >
}

/** A section that must be there if a message of it is `Parsed`. */
type SectionOf<K extends string, Sent> = [ParsedIn<Sent>] extends [never]
  ? { readonly [P in K]?: SchemasIn<Sent> }
  : { readonly [P in K]: SchemasIn<Sent> }

/**
 * The schemas of the messages of `M`, by their names: Zod, Valibot, ArkType or any other with Standard
 * Schema. A payload that one refuses does not reach its handler: the caller of a call gets
 * `INVALID_ARGUMENT` with the first issues and their paths, and a cast or an info is logged.
 */
export type MessageSchemas<M> = SectionOf<'calls', CallsOf<M>> &
  SectionOf<'casts', CastsOf<M>> &
  SectionOf<'infos', InfosOf<M>>

/** The option `messages` of a server, which must be there if a message of `M` is `Parsed`. */
export type WithSchemas<M> = [
  ParsedIn<CallsOf<M>> | ParsedIn<CastsOf<M>> | ParsedIn<InfosOf<M>>,
] extends [never]
  ? { readonly messages?: MessageSchemas<M> }
  : { readonly messages: MessageSchemas<M> }

type Section = 'calls' | 'casts' | 'infos'

/** The functions that parse the messages of a server, by section and name. */
export type Parses = { readonly [S in Section]: Table<Parse | undefined> }

const declared = object({
  calls: optional(recordOf(schema)),
  casts: optional(recordOf(schema)),
  infos: optional(recordOf(schema)),
})

/**
 * Reads the `messages` of a server. A schema that answers with a promise is refused, and one of a message
 * that the server has no handler of. @throws KeelsonError the code of `at`
 */
export const messageSchemas = (
  server: { readonly messages?: unknown } & { readonly [S in Section]?: unknown },
  at: Place,
): Parses | undefined => {
  if (server.messages === undefined) return undefined
  const read = declared(server.messages, at)
  const parsesOf = (section: Section): Parses[Section] => {
    const parses = read[section]
    checkNames(parses ?? {}, Object.keys(Object(server[section])), below(at, section))
    return tableOf(parses)
  }
  return { calls: parsesOf('calls'), casts: parsesOf('casts'), infos: parsesOf('infos') }
}
