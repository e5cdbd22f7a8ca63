//! Pickles of arrays that Python wrote, in protocols 2 to 5:
//!
//! ```python
//! a = np.arange(6, dtype="f4").reshape(2, 3) / 4
//! {"model": {"f4": a, "f4.columns": np.asfortranarray(a), "f2": a.astype("f2"), "f8": a.astype("f8") * 3,
//!            "i8": np.array([[1, -2]]), "bool": np.array([True, False]), "none": np.zeros((0, 3), "f4"),
//!            "scalar": np.float32(2.5), "zero_d": np.array(7, "i4"), "big": a.astype(">f4"), "complex": np.array([1j]),
//!            "objects": np.array([None, "x"], object), "matrix": np.array(["ab"])}, "__author__": "test", "twice": a}
//! ```

use std::path::Path;

use semaim_pickle::{Array, Checkpoint, Dtype, write_arrays};

use crate::support::pickle::{int, ints, tuple, whole};

fn file(protocol: u8) -> Vec<u8> {
    let name = format!("tests/data/arrays.protocol{protocol}.pkl");
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn arrays_of_all_protocols_are_read() {
    let values: Vec<f32> = (0..6_u8).map(|i| f32::from(i) / 4.0).collect();
    let thrice: Vec<f32> = values.iter().map(|v| v * 3.0).collect();
    let expected: [(&str, Dtype, &[usize], &[f32]); 10] = [
        ("model.f4", Dtype::F32, &[2, 3], &values),
        ("model.f4.columns", Dtype::F32, &[2, 3], &values),
        ("model.f2", Dtype::F16, &[2, 3], &values),
        ("model.f8", Dtype::F64, &[2, 3], &thrice),
        ("model.i8", Dtype::I64, &[1, 2], &[1.0, -2.0]),
        ("model.bool", Dtype::Bool, &[2], &[1.0, 0.0]),
        ("model.none", Dtype::F32, &[0, 3], &[]),
        ("model.scalar", Dtype::F32, &[], &[2.5]),
        ("model.zero_d", Dtype::I32, &[], &[7.0]),
        ("twice", Dtype::F32, &[2, 3], &values),
    ];
    for protocol in 3..=5 {
        let read = Checkpoint::from_bytes(file(protocol)).unwrap();
        assert_eq!(read.tensors.len(), expected.len() + 4);
        for (path, dtype, shape, values) in expected {
            let tensor = &read.tensors[path];
            assert_eq!((tensor.dtype(), tensor.shape()), (dtype, shape), "{path}");
            assert_eq!(tensor.read().unwrap(), values, "{path} {protocol}");
        }
        for path in ["big", "complex", "objects", "matrix"] {
            let tensor = &read.tensors[&format!("model.{path}")];
            let message = tensor.read().unwrap_err().to_string();
            assert!(message.contains("is not read"), "{path}: {message}");
        }
    }
}

/// Their numbers stand in texts.
#[test]
fn arrays_of_old_protocols_are_named() {
    let read = Checkpoint::from_bytes(file(2)).unwrap();
    let message = read.tensors["model.f4"].read().unwrap_err().to_string();
    assert!(message.contains("protocol 2"), "{message}");
}

#[test]
fn what_is_written_is_read() {
    let written = |shape: &[usize], values: &[f32]| {
        let name = "a.b";
        let array = Array {
            name,
            shape,
            values,
        };
        let mut bytes = Vec::new();
        write_arrays(&mut bytes, [array, Array { name: "c", ..array }], "me").unwrap();
        Checkpoint::from_bytes(bytes).unwrap()
    };
    let values: Vec<f32> = (0..30_000_u16).map(|i| 1.0 / f32::from(1 + i)).collect();
    for (shape, values) in [
        (&[300, 100][..], &values[..]),
        (&[2, 1, 3], &values[..6]),
        (&[], &values[..1]),
    ] {
        let read = written(shape, values);
        assert_eq!(read.tensors.len(), 2);
        for tensor in read.tensors.values() {
            assert_eq!((tensor.dtype(), tensor.shape()), (Dtype::F32, shape));
            assert_eq!(tensor.read().unwrap(), values);
        }
    }
}

/// An array of a state.
fn array(state: &[Vec<u8>]) -> Vec<u8> {
    let class = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR";
    whole(&[class, &tuple(state)[..], b"b"].concat())
}

#[test]
fn arrays_whose_bytes_do_not_fit_are_refused() {
    let f4 = b"cnumpy\ndtype\nU\x02f4\x89\x88\x87R".to_vec();
    let (version, rows_first, bytes) = (int(1), b"\x89".to_vec(), b"C\x08abcdefgh".to_vec());
    let of = |shape: Vec<u8>, dtype: Vec<u8>, bytes: Vec<u8>| {
        Checkpoint::from_bytes(array(&[
            version.clone(),
            shape,
            dtype,
            rows_first.clone(),
            bytes,
        ]))
    };
    let good = of(ints(&[2]), f4.clone(), bytes.clone()).unwrap();
    assert_eq!(good.tensors[""].shape(), [2]);
    for (shape, dtype) in [
        (ints(&[3]), f4.clone()),
        (ints(&[-1]), f4.clone()),
        (ints(&[i32::MAX; 9]), f4.clone()),
        (ints(&[0, i32::MAX, i32::MAX, i32::MAX]), f4.clone()),
        (int(2), f4.clone()),
        (ints(&[2]), int(4)),
    ] {
        let message = of(shape, dtype, bytes.clone()).unwrap_err().to_string();
        assert!(
            message.contains("array") || message.contains("size"),
            "{message}"
        );
    }
    let few = array(&[version, ints(&[2]), f4]);
    assert!(Checkpoint::from_bytes(few).is_err());
}
