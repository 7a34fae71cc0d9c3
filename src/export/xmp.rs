//! What a picture says about its making, in XMP.

use serde::{Deserialize, Serialize};

/// How much of a picture a trained model made: IPTC's digital source type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// A picture that the artist brought, edited with codes.
    Edited,
    /// Made by the model alone.
    Generated,
}

impl Provenance {
    /// The term in IPTC's vocabulary (<http://cv.iptc.org/newscodes/digitalsourcetype/>).
    pub const fn digital_source_type(self) -> &'static str {
        match self {
            Provenance::Edited => {
                "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
            }
            Provenance::Generated => {
                "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
            }
        }
    }

    /// A complete XMP packet.
    pub(super) fn packet(self) -> String {
        format!(
            concat!(
                "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n",
                "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n",
                " <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n",
                "  <rdf:Description rdf:about=\"\"\n",
                "    xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\"\n",
                "    xmlns:Iptc4xmpExt=\"http://iptc.org/std/Iptc4xmpExt/2008-02-29/\">\n",
                "   <xmp:CreatorTool>Tessera {}</xmp:CreatorTool>\n",
                "   <Iptc4xmpExt:DigitalSourceType>{}</Iptc4xmpExt:DigitalSourceType>\n",
                "  </rdf:Description>\n",
                " </rdf:RDF>\n",
                "</x:xmpmeta>\n",
                "<?xpacket end=\"r\"?>"
            ),
            env!("CARGO_PKG_VERSION"),
            self.digital_source_type()
        )
    }
}
