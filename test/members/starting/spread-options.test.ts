/** What a member must have that shares the shards of an engine, and cannot have otherwise. */
import { expect, test } from 'vitest'
import { addressIn, addressText } from '../../../src/storage/index.ts'
import { checkStartOptions, type StartOptions } from '../../../src/supervisors/index.ts'

const engine = { description: 'an engine', open: () => undefined }
const spread = { placement: 'spread', listen: '10.0.0.5:7400', secret: 's'.repeat(32) }

const refusalOf = (given: object, more: object = {}): unknown => {
  const cluster = { name: 'c', member: 'a', engine, ...given }
  try {
    checkStartOptions({ dir: '/data', cluster, ...more } as unknown as StartOptions)
    return 'taken'
  } catch (error) {
    return error
  }
}

test('the links of a member have an address and a secret', () => {
  expect(refusalOf(spread)).toBe('taken')
  expect(refusalOf({})).toBe('taken')
  expect(refusalOf({ ...spread, listen: '[fd00::5]:7400' })).toBe('taken')
  expect(refusalOf({ ...spread, listen: 'shop-0.shop:7400' })).toBe('taken')
  const [listen, advertise] = ['0.0.0.0:7400', '192.0.2.7:17400']
  expect(refusalOf({ ...spread, listen, advertise })).toBe('taken')
})

test.each([
  ['no address', { ...spread, listen: undefined }, 'cluster.listen'],
  ['no secret', { ...spread, secret: undefined }, 'cluster.secret'],
  ['an address without links', { listen: spread.listen }, 'cluster.listen'],
  ['a secret without links', { secret: spread.secret }, 'cluster.secret'],
  ['the address of all networks', { ...spread, listen: '0.0.0.0:7400' }, 'cluster.listen'],
  ['all networks to be reached at', { ...spread, advertise: '[::]:7400' }, 'cluster.advertise'],
  ['a reached address without links', { advertise: spread.listen }, 'cluster.advertise'],
  ['any port', { ...spread, listen: '10.0.0.5:0' }, 'cluster.listen'],
  ['no port', { ...spread, listen: '10.0.0.5' }, 'cluster.listen'],
  ['a port that is none', { ...spread, listen: '10.0.0.5:70000' }, 'cluster.listen'],
  ['an unknown placement', { ...spread, placement: 'apart' }, 'cluster.placement'],
])('%s is CONFIG', (_, given, path) => {
  const refusal = Object(refusalOf(given))
  expect(refusal.code).toBe('CONFIG')
  expect([refusal.details.path].flat().join('.')).toBe(path)
})

test('a short secret is CONFIG, and the refusal does not show it', () => {
  const refusal = Object(refusalOf({ ...spread, secret: 'too-short' }))
  expect(refusal.code).toBe('CONFIG')
  expect(refusal.message).not.toContain('too-short')
})

test('an address is as its text says', () => {
  for (const text of ['10.0.0.5:7400', '[fd00::5]:7400', 'shop-0.shop:1'])
    expect(addressText(addressIn(text))).toBe(text)
  expect(addressIn('[fd00::5]:7400')).toEqual({ host: 'fd00::5', port: 7_400 })
})
