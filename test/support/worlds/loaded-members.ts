/**
 * Loads what a start of a member loads. That takes real time, which a virtual clock would pass by, and which no seed decides.
 */
import { loadEngineStorage } from '../../../src/members/index.ts'

await loadEngineStorage()
await import('../../../src/supervisors/starting/instance.ts')
await import('../../../src/members/index.ts')
