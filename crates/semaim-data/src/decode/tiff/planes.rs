//! All samples of a page as they are stored, also those of planes that the decoder does not put together.

use std::io::{Read, Seek};
use std::num::NonZeroUsize;
use std::ops::Range;

use tiff::TiffError;
use tiff::decoder::{BufferLayoutPreference, ChunkType, Decoder, DecodingResult, Limits};

/// The most bytes of a tile with more rows than the picture.
const TALL_TILE: usize = 64 << 20;

/// Reads the decoder's current page: all samples interleaved or one plane after the other, and how they are laid out.
pub(super) fn read<R: Read + Seek>(
    decoder: &mut Decoder<R>,
    limits: &Limits,
) -> Result<(DecodingResult, BufferLayoutPreference), TiffError> {
    let mut samples = DecodingResult::U8(Vec::new());
    if !end_within_tiles(decoder)? {
        let layout = decoder.read_image_to_buffer(&mut samples)?;
        return Ok((samples, layout));
    }
    let layout = decoder.image_buffer_layout()?;
    samples.resize_to(&layout, limits)?;
    read_tiles(decoder, &layout, samples.as_buffer(0).as_bytes_mut())?;
    Ok((samples, layout))
}

/// Whether there are planes whose last tiles have rows below the picture. The decoder takes these rows into account in the first
/// plane only, and fails in the others, for which it would have no room.
fn end_within_tiles<R: Read + Seek>(decoder: &mut Decoder<R>) -> Result<bool, TiffError> {
    if decoder.get_chunk_type() != ChunkType::Tile {
        return Ok(false);
    }
    let (_, height) = decoder.dimensions()?;
    let (_, tile_height) = decoder.chunk_dimensions();
    Ok(!height.is_multiple_of(tile_height) && decoder.image_buffer_layout()?.planes > 1)
}

/// Reads all planes into `samples`, which are laid out so.
fn read_tiles<R: Read + Seek>(
    decoder: &mut Decoder<R>,
    layout: &BufferLayoutPreference,
    samples: &mut [u8],
) -> Result<(), TiffError> {
    // Without a row there is nothing to read.
    let (Some(row_len), Some(plane_len)) = (layout.row_stride, layout.plane_stride) else {
        return Ok(());
    };
    let (row_len, plane_len) = (row_len.get(), plane_len.get());
    let (width, _) = decoder.dimensions()?;
    let (tile_width, tile_height) = decoder.chunk_dimensions();
    let across = width.div_ceil(tile_width);
    let rows_len = row_len.saturating_mul(tile_height as usize);
    let most = plane_len.max(TALL_TILE);
    // Tiles are numbered plane by plane, and row by row in each.
    let mut first = 0;
    let planes = samples.chunks_exact_mut(plane_len).take(layout.planes);
    for rows in planes.flat_map(|plane| plane.chunks_mut(rows_len)) {
        read_row(decoder, first..first + across, rows, row_len, most)?;
        first += across;
    }
    Ok(())
}

/// Reads tiles that stand side by side, none of more than `most` bytes, into rows of `row_len` bytes each.
fn read_row<R: Read + Seek>(
    decoder: &mut Decoder<R>,
    tiles: Range<u32>,
    rows: &mut [u8],
    row_len: usize,
    most: usize,
) -> Result<(), TiffError> {
    let mut tile: Vec<u8> = Vec::new();
    let mut left = 0;
    for number in tiles {
        let layout = decoder.image_chunk_buffer_layout(number)?;
        if layout.len > most {
            return Err(TiffError::LimitsExceeded);
        }
        tile.resize(layout.len, 0);
        decoder.read_chunk_bytes(number, &mut tile)?;
        // Columns beside the picture are left out of a tile, rows below it are not.
        let Some(tile_row_len) = layout.row_stride.map(NonZeroUsize::get) else {
            continue;
        };
        let right = left + tile_row_len;
        let tile_rows = tile.chunks_exact(tile_row_len);
        for (row, tile_row) in rows.chunks_exact_mut(row_len).zip(tile_rows) {
            if let Some(place) = row.get_mut(left..right) {
                place.copy_from_slice(tile_row);
            }
        }
        left = right;
    }
    Ok(())
}
