/** Which failures of a server end a start of a member, and which ones it waits for: each class of PostgreSQL, and codes of Node. */
import { expect, test } from 'vitest'
import { troubleIn, troubleText } from '../../../src/adapters/postgres/engine-lane.ts'

/** The classes of SQLSTATEs of PostgreSQL 17, and some of CockroachDB. */
const classes = (
  '00 01 02 03 08 09 0A 0B 0F 0L 0P 0Z 20 21 22 23 24 25 26 27 28 2B 2D 2F 34 38 39 3B 3D 3F 40 42 44 ' +
  '53 54 55 57 58 72 F0 HV P0 XX XC'
).split(' ')

test('of the classes of PostgreSQL a person must mend those of features, users, databases and rights', () => {
  const found = classes.filter((each) => troubleIn({ code: `${each}001` }) === 'person')

  expect(found).toEqual(['0A', '28', '3D', '42'])
})

test.each([
  ['a wrong password', '28P01'],
  ['no line of pg_hba.conf', '28000'],
  ['a database that is not there', '3D000'],
  ['a right that is missing', '42501'],
  ['a table that was dropped', '42P01'],
  ['a prepared statement on another server process', '26000'],
  ['a limit of the configuration', '53400'],
  ['a broken configuration of the server', 'F0000'],
  ['a certificate that nobody vouches for', 'SELF_SIGNED_CERT_IN_CHAIN'],
  ['a certificate of the server itself', 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  ['a certificate of an unknown authority', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'],
  ['a certificate without its chain', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  ['a certificate that has expired', 'CERT_HAS_EXPIRED'],
  ['a certificate of another host', 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ['a certificate for another purpose', 'INVALID_PURPOSE'],
  ['no common version of TLS', 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION'],
  ['a key that is none', 'ERR_OSSL_PEM_NO_START_LINE'],
  ['a socket that may not be used', 'EACCES'],
  ['a port that is none', 'ERR_SOCKET_BAD_PORT'],
])('%s needs a person', (_, code) => {
  expect(troubleIn(Object.assign(new Error('no'), { code }))).toBe('person')
})

test.each([
  ['a server that is not there', 'ECONNREFUSED'],
  ['a connection that was cut', 'ECONNRESET'],
  ['a network that is not there', 'ENETUNREACH'],
  ['a host that is not there', 'EHOSTUNREACH'],
  ['a name that is not there yet', 'ENOTFOUND'],
  ['a name server that is away', 'EAI_AGAIN'],
  ['no answer', 'ETIMEDOUT'],
  ['a pipe that is closed', 'EPIPE'],
  ['a process without descriptors', 'EMFILE'],
  ['a handshake that takes too long', 'ERR_TLS_HANDSHAKE_TIMEOUT'],
  ['a server that goes during a handshake', 'ERR_SSL_UNEXPECTED_EOF_WHILE_READING'],
  ['a server that starts', '57P03'],
  ['a server that stops', '57P01'],
  ['a crash of the server', '57P02'],
  ['too many connections', '53300'],
  ['a full disk', '53100'],
  ['no memory', '53200'],
  ['a server that only reads', '25006'],
  ['a deadlock', '40P01'],
  ['a lock of somebody else', '55P03'],
  ['a schema that another member makes', '42P06'],
  ['a table that another member makes', '42P07'],
  ['an error of the server', 'XX000'],
  ['a code that nobody knows', 'ZZZZZ'],
])('%s may pass', (_, code) => {
  expect(troubleIn(Object.assign(new Error('no'), { code }))).toBe('passes')
})

test('a socket that is not there may pass, a file with a certificate needs a person', () => {
  expect(troubleIn({ code: 'ENOENT', syscall: 'connect' })).toBe('passes')
  expect(troubleIn({ code: 'ENOENT', syscall: 'open' })).toBe('person')
})

test('what pg gives no code is known by its words, and anything else may pass', () => {
  for (const message of [
    'The server does not support SSL connections',
    'SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string',
  ])
    expect(troubleIn(new Error(message))).toBe('person')
  for (const other of [new Error('Connection terminated unexpectedly'), undefined, 'text', null])
    expect(troubleIn(other)).toBe('passes')
})

test('the words of a failure have its code, and those of each address', () => {
  const at = (address: string) =>
    Object.assign(new Error(`connect ECONNREFUSED ${address}`), { code: 'ECONNREFUSED' })

  expect(troubleText(Object.assign(new Error('no such user'), { code: '28000' }))).toBe(
    'no such user (28000)',
  )
  expect(troubleText(new AggregateError([at('::1'), at('127.0.0.1')]))).toBe(
    'connect ECONNREFUSED ::1; connect ECONNREFUSED 127.0.0.1',
  )
  expect(troubleText('gone')).toBe('gone')
})
