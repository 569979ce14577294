/**
 * The options of `Client` of `pg` from a URL and further options. By itself `pg` lets the URL win
 * over every option, also where the URL says nothing: a password beside a URL is lost, and
 * `sslmode=require` replaces `ssl` with its certificates. Pure.
 */

import { invalidArgument } from '../../errors.ts'
import { noOptions, ownOf } from '../../own-names.ts'

type ClientOptions = Readonly<Record<string, unknown>>

/** The parameters of a URL that `pg` makes `ssl` of. */
const sslParameters = ['sslmode', 'ssl', 'sslcert', 'sslkey', 'sslrootcert', 'sslnegotiation']

/** Options that `pg` takes from a URL, also if the URL has none of them. */
const urlParts = ['user', 'password', 'host', 'port', 'database'] as const

/**
 * The URL completed with the options. @throws KeelsonError `INVALID_ARGUMENT` if both decide the
 * same, or an option cannot be a part of a URL
 */
export const clientOptions = (
  connectionString: string | undefined,
  client: ClientOptions = noOptions,
): ClientOptions => {
  const defaults = { application_name: 'keelson', keepAlive: true }
  if (connectionString === undefined) return { ...defaults, ...client }
  // `pg` knows other texts, too, such as the path of a socket.
  if (!URL.canParse(connectionString)) return { ...defaults, ...client, connectionString }
  const url = new URL(connectionString)
  for (const name of Object.keys(client)) {
    if (client[name] === undefined) continue
    const said = partOf(url, name)
    if (said !== undefined)
      throw invalidArgument(`client.${name}`, `absent, as the URL has its ${said}`, 'both')
  }
  for (const name of urlParts) {
    const value = client[name]
    if (value === undefined) continue
    if (typeof value !== 'string' && typeof value !== 'number')
      throw invalidArgument(`client.${name}`, 'a text, as there is a URL', typeof value)
    if (name === 'database') url.pathname = `/${encodeURIComponent(value)}`
    else url.searchParams.set(name, `${value}`)
  }
  return { ...defaults, ...client, connectionString: url.href }
}

/** The part of a URL that decides the option `name`; `undefined` without one. */
const partOf = (url: URL, name: string): string | undefined => {
  if (name === 'ssl') return sslParameters.find((each) => url.searchParams.has(each))
  if (url.searchParams.has(name)) return name
  const { username: user, password, hostname: host, port, pathname } = url
  const database = pathname.slice(1)
  const parts: Readonly<Record<string, string>> = { user, password, host, port, database }
  return ownOf(parts, name) ? name : undefined
}
