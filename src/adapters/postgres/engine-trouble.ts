/**
 * Which failures of a connection or a statement may pass by themselves, and which ones only a person
 * can mend: a wrong password, database, right or certificate. A failure that is in no table may
 * pass. Pure.
 */

/** `person`: the same attempt fails until the server or the configuration is changed. */
export type Trouble = 'passes' | 'person'

/** SQLSTATEs that need a person: of two characters a whole class, of five a single one. */
const statesForPeople = [
  '0A', // a feature that the server does not have
  '28', // the user, the password, pg_hba.conf
  '3D', // the database
  '42', // rights, and tables that are not as they should be
  '26000', // a prepared statement that is gone: a pooler has changed the server process
  '53400', // a limit of the configuration
  'F0000', // the server's own configuration
]

/** Of those classes, failures that pass: another member has made the same at the same moment. */
const statesThatPass = ['42P04', '42P06', '42P07', '42710']

/** Codes of Node for an address, a socket or a file that cannot be used. */
const codesForPeople = [
  'EACCES',
  'EPERM',
  'EISDIR',
  'EINVAL',
  'EAFNOSUPPORT',
  'ERR_SOCKET_BAD_PORT',
  'ERR_INVALID_ARG_TYPE',
  'ERR_INVALID_ARG_VALUE',
  'ERR_INVALID_URL',
]

/** Codes of Node and OpenSSL for a certificate, a key, or a server without a common protocol. */
const tlsForPeople =
  /^(ERR_(TLS|SSL|OSSL)_|CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_(CA|PURPOSE)$|PATH_LENGTH_|HOSTNAME_)/

/** Of those codes, the ones that a broken connection gives, too. */
const tlsThatPasses = /TIMEOUT|EOF|BAD_RECORD_MAC|INTERNAL_ERROR/

/** `pg` gives these errors no code. */
const messagesForPeople = /^(The server does not support SSL|SASL: |SECURITY WARNING)/

/** Whether a failure may pass. */
export const troubleIn = (failure: unknown): Trouble => {
  const { code, syscall, message } = Object(failure) as Record<string, unknown>
  if (typeof code !== 'string')
    return typeof message === 'string' && messagesForPeople.test(message) ? 'person' : 'passes'
  if (statesThatPass.includes(code)) return 'passes'
  if (/^[0-9A-Z]{5}$/.test(code) && isStateForPeople(code)) return 'person'
  if (tlsForPeople.test(code)) return tlsThatPasses.test(code) ? 'passes' : 'person'
  // A socket that is not there comes with its server. A file with a certificate does not.
  if (code === 'ENOENT') return syscall === 'connect' ? 'passes' : 'person'
  return codesForPeople.includes(code) ? 'person' : 'passes'
}

const isStateForPeople = (state: string): boolean =>
  statesForPeople.includes(state) || statesForPeople.includes(state.slice(0, 2))

/** A failure in words: one line, with the code. */
export const troubleText = (failure: unknown): string => {
  const { code, message, errors } = Object(failure) as Record<string, unknown>
  // Of a name with several addresses each has failed, and the whole has no message.
  const texts = Array.isArray(errors) && !message ? errors.map(troubleText) : undefined
  if (texts) return [...new Set(texts)].join('; ')
  const text = typeof message === 'string' && message !== '' ? message : String(failure)
  return typeof code === 'string' && !text.includes(code) ? `${text} (${code})` : text
}
