/** What the function is invoked with. */
export interface ThumbnailEvent {
  readonly userId: string;
  readonly image: string;
  readonly widthPx: number;
}

/** The new path. It cannot cope with very small images. */
export function webpThumbnail({ image, widthPx }: ThumbnailEvent): string {
  if (widthPx < 16) throw new RangeError('VP8 needs blocks of 16 pixels.');
  return `${image}@${widthPx}.webp`;
}

/** The old path. */
export function jpegThumbnail({ image, widthPx }: ThumbnailEvent): string {
  return `${image}@${widthPx}.jpg`;
}
