import type { StandardSchema } from '../../src/schema.ts'

/** Of an order: the cents of its items are texts that become numbers, and `at` is 3 by default. */
export declare const orders: Readonly<Record<'Zod' | 'Valibot' | 'ArkType', StandardSchema>>

/** Schemas that answer with promises. */
export declare const asynchronous: Readonly<Record<'Zod' | 'Valibot', StandardSchema>>

/** Of a name and a password. */
export declare const account: StandardSchema
