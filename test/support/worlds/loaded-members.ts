/**
 * Loads what a start of a member loads. That takes real time, which a virtual clock would pass by, and which no seed decides.
 */
import '../../../src/storage/shared/engine-calls.ts'
import '../../../src/storage/shared/followed-log-host.ts'
import '../../../src/storage/shared/lease-keeper.ts'
import '../../../src/storage/shared/shared-log-host.ts'
import '../../../src/storage/shared/shared-snapshots.ts'
import '../../../src/storage/shared/shared-turn-scan.ts'
import '../../../src/supervisors/starting/instance.ts'
import '../../../src/supervisors/starting/member-start.ts'
