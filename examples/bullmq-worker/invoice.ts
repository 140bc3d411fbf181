/** What a job of the queue is about. */
export interface InvoiceJob {
  readonly userId: string;
  readonly invoiceId: string;
  /** In cents. */
  readonly total: number;
  readonly currency: string;
}

/** The new path: every currency in its own form. It knows currencies by their ISO codes only. */
export function typesetInvoice({ invoiceId, total, currency }: InvoiceJob): string {
  const amount = new Intl.NumberFormat('en', { style: 'currency', currency });
  return `${invoiceId}: ${amount.format(cents(total) / 100)}`;
}

/** The old path: the currency is a word like any other. */
export function printInvoice({ invoiceId, total, currency }: InvoiceJob): string {
  return `${invoiceId}: ${(cents(total) / 100).toFixed(2)} ${currency}`;
}

function cents(total: number): number {
  if (!Number.isSafeInteger(total)) throw new TypeError('An invoice needs a total in whole cents.');
  return total;
}
