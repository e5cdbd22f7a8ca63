//! What an encoder is worth.
//!
//! * [`image_batches`]: the loop that brings images to a network; [`accuracy`]: what is counted.
//! * [`embed`]: one vector per image; [`image_similarity`]: one similarity map.
//! * [`splits`]: which labeled images are for training and which for the test.
//! * [`knn`]: exact weighted nearest neighbors on those vectors.
//! * [`class_names`]: labels of two files of vectors, compared by name.
//! * [`probe`]: a linear classifier on those vectors.
//! * [`finetune`]: encoder and head trained as a whole; [`classify`] is what comes out at work.
//! * [`detect`]: encoder, pyramid and heads trained to find objects, and detectors at work.
//! * [`segment`]: encoder and head trained to name the class of every pixel, and segmenters at work.
//! * [`results`]: what such runs leave: the last evaluation and the best.
//! * [`unreadable`]: evaluation images that cannot be read, named and counted.
//! * [`known_classes`]: the classes of a set as a trained model numbers them.
//! * [`compare`]: several variants with several seeds each, side by side.
//! * [`pointing`]: whether the order starts on the object; [`main_object`]: which object that is, in a COCO file.
//! * [`orders`]: the orders a model gives, for pictures.
//! * [`features`]: an encoder's attention, similarity and patch tokens, for pictures; [`pca`]: the tokens as colors.
//! * [`vectors`]: files of vectors.
//! * [`views`]: how an encoder's images are opened and shown to it.

pub mod accuracy;
pub mod class_names;
pub mod classify;
pub mod compare;
pub mod detect;
pub mod embed;
pub mod features;
pub mod finetune;
pub mod image_batches;
pub mod image_similarity;
pub mod knn;
pub mod known_classes;
pub mod main_object;
mod named_images;
mod on_encoder;
pub mod orders;
pub mod pca;
pub mod pointing;
pub mod probe;
pub mod results;
pub mod run_start;
pub mod segment;
pub mod splits;
pub mod unreadable;
pub mod vectors;
pub mod views;
